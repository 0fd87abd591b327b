"""`/api/relay`."""

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from api.events.accept import wants_json
from api.events.cohort import View
from api.events.cursor import Cursor, CursorWriter
from api.events.deadline import Deadline
from api.events.opening import AnyRequest, EventServices, held_answer, hold_stream
from api.events.parameters import (
    Conn,
    CursorParameter,
    History,
    LastEventId,
    LastEventIdInQuery,
    Named,
    Types,
    Wait,
)
from api.events.poll import poll
from api.events.routes import json_answer
from api.events.session import Reading, StreamSession
from api.events.stream import Serve
from api.problems import (
    Forbidden,
    InvalidCursor,
    NotAcceptable,
    OverConnectionLimit,
    TicketUsed,
    UnknownSource,
)
from api.relay.service import Relay, relay_topic
from api.security.principal import Principal

READING = {
    "problems": (
        InvalidCursor,
        Forbidden,
        TicketUsed,
        UnknownSource,
        NotAcceptable,
        OverConnectionLimit,
    ),
    "is_stream": True,
    "takes_ticket": True,
}


@dataclass(frozen=True, slots=True)
class RelayServices:
    """What the handler of this package calls."""

    relay: Relay
    events: EventServices


class RelayController(Controller):
    path = "/api/relay/{source:str}"
    tags = ("relay",)
    services: RelayServices

    @get(name="read_relay", opt=READING)
    async def read(
        self,
        *,
        source: FromPath[str],
        request: AnyRequest,
        principal: NamedDependency[Principal],
        last_event_id: LastEventId = None,
        last_id_in_query: LastEventIdInQuery = None,
        cursor: CursorParameter = None,
        types: Types = None,
        named: Named = True,
        history: History = 0,
        wait: Wait = 0,
        conn: Conn = None,
    ) -> Response[Any]:
        """Read an upstream's events, as a held stream or as one JSON answer."""
        relay, events = self.services.relay, self.services.events
        # First: who may not read a source does not learn whether there is one.
        await events.security.access.require_read(principal, [relay_topic(source)])
        topic = relay.require(source)
        given = last_event_id or last_id_in_query or cursor
        shown = frozenset(filter(None, types.split(","))) if types else None
        at = Cursor.parse(given) if given else None
        if at is None and not history:
            # "Now" is before the upstream is asked: what it says first is for this reader too.
            at = Cursor.parse(CursorWriter(await events.desk.hub.locate([topic])).text().decode())
        reading = Reading(View((topic,), shown, named), at, history)
        if wants_json(request):
            counted = held_answer(request, events, principal, conn) if wait else nullcontext()
            async with counted:
                with relay.reading(source):
                    answer = await poll(events.desk, reading, wait_s=wait)
            return json_answer(request, events, answer, is_held=wait > 0)

        def session(deadline: Deadline) -> Serve:
            desk, expires_at = events.desk, principal.expires_at
            stream = StreamSession(desk, reading, deadline=deadline, expires_at=expires_at)

            async def serve(receive: Any, send: Any) -> None:
                with relay.reading(source):
                    await stream.run(receive, send)

            return serve

        return await hold_stream(request, events, session, principal=principal, conn=conn)


def relay_routes(services: RelayServices) -> list[type[Controller]]:
    """The handler, bound to `services`."""
    return [type("RelayController", (RelayController,), {"services": services})]
