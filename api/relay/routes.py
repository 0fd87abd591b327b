"""The endpoint `/api/relay/{source}`."""

from typing import Any

from litestar import Controller, Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from api.controllers import bound
from api.events import (
    AnyRequest,
    Conn,
    Cursor,
    CursorParameter,
    Events,
    History,
    LastEventId,
    LastEventIdInQuery,
    Named,
    ReadRequest,
    Types,
    Wait,
    answer_read,
    first_cursor,
)
from api.problems import OF_STREAMS, InvalidCursor
from api.relay.problems import UnknownSource
from api.relay.service import Relay, relay_topic
from api.security.principal import Principal

READING = {
    "problems": (InvalidCursor, UnknownSource, *OF_STREAMS),
    "is_stream": True,
    "takes_ticket": True,
}


class RelayController(Controller):
    """The endpoint `/api/relay/{source}`."""

    path = "/api/relay/{source:str}"
    tags = ("relay",)
    relay: Relay
    events: Events

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
        """Read the events of an upstream that is passed on, as a stream or as one JSON answer."""
        relay, events = self.relay, self.events
        # Before it is looked up: a caller without a grant must not learn which sources there are.
        await events.security.access.require_read(principal, [relay_topic(source)])
        topic = relay.require(source)
        at = first_cursor(last_event_id, last_id_in_query, cursor)
        if at is None and not history:
            # Found before the upstream is asked, so that this reader also gets its first events.
            at = Cursor.at(await events.streaming.hub.locate([topic]))
        return await answer_read(
            request,
            events,
            ReadRequest.of([topic], at, types=types, named=named, history=history),
            principal=principal,
            wait_s=wait,
            conn=conn,
            meanwhile=lambda: relay.reading(source),
        )


def relay_routes(relay: Relay, events: Events) -> list[type[Controller]]:
    """Return the controller of the relay, bound to what it calls."""
    return [bound(RelayController, relay=relay, events=events)]
