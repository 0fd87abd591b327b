"""`/api/events` and `/api/stream-tickets`."""

from contextlib import nullcontext
from hashlib import blake2b
from typing import Any

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from api.events import sse
from api.events.accept import JSON, wants_json
from api.events.bounds import ANSWER_BYTES
from api.events.cohort import View
from api.events.cursor import Cursor
from api.events.event import Event, EventId
from api.events.models import (
    BatchBody,
    BatchItem,
    BatchResult,
    BatchView,
    HistoryView,
    PublishBody,
    PublishedView,
    TicketBody,
    TicketView,
)
from api.events.opening import AnyRequest, EventServices, held_answer, open_stream
from api.events.parameters import (
    Before,
    Conn,
    CursorParameter,
    History,
    IdempotencyHeader,
    LastEventId,
    LastEventIdInQuery,
    Limit,
    Named,
    Topics,
    Types,
    Wait,
)
from api.events.poll import Answer, poll
from api.events.publisher import Draft, Outcome, Published
from api.events.session import Reading
from api.events.topic import parse_topic
from api.problems import (
    ApiError,
    Forbidden,
    ForeignOrigin,
    IdempotencyKeyReused,
    InvalidCursor,
    InvalidEventId,
    InvalidTopic,
    NotAcceptable,
    OverConnectionLimit,
    PublishUncertain,
    RateLimited,
    ReservedEventType,
    TicketUsed,
    render,
)
from api.security.principal import Principal
from api.security.rates import Charge

BUSY_MS = 500

# For the OpenAPI document: what a handler answers with beside what every handler may.
READING = {
    "problems": (
        InvalidTopic,
        InvalidCursor,
        TicketUsed,
        Forbidden,
        NotAcceptable,
        OverConnectionLimit,
        RateLimited,
    ),
    "takes_ticket": True,
}
PUBLISHING = {
    "problems": (
        InvalidTopic,
        Forbidden,
        ForeignOrigin,
        ReservedEventType,
        IdempotencyKeyReused,
        RateLimited,
        PublishUncertain,
    )
}


class EventsController(Controller):
    path = "/api/events"
    tags = ("events",)
    services: EventServices

    @get(name="read_events", opt=READING)
    async def read(
        self,
        *,
        request: AnyRequest,
        principal: NamedDependency[Principal],
        topic: Topics,
        last_event_id: LastEventId = None,
        last_id_in_query: LastEventIdInQuery = None,
        cursor: CursorParameter = None,
        types: Types = None,
        named: Named = True,
        history: History = 0,
        wait: Wait = 0,
        conn: Conn = None,
    ) -> Response[Any]:
        """Read topics as a held stream, or as one JSON answer, from one cursor."""
        reading = _reading(
            topic,
            last_event_id or last_id_in_query or cursor,
            types,
            named=named,
            history=history,
            charge=self.services.security.new_topics_of(principal),
        )
        await self.services.security.access.require_read(principal, reading.view.topics)
        if wants_json(request):
            counted = held_answer(request, self.services, principal, conn)
            async with counted if wait else nullcontext():
                answer = await poll(self.services.desk, reading, wait_s=wait)
            return json_answer(request, self.services, answer, is_held=wait > 0)
        return await open_stream(request, self.services, reading, principal=principal, conn=conn)

    @post("/{topic:str}", name="publish_event", opt=PUBLISHING)
    async def publish(
        self,
        *,
        topic: FromPath[str],
        data: JSONBody[PublishBody],
        principal: NamedDependency[Principal],
        idempotency_key: IdempotencyHeader = None,
    ) -> Response[PublishedView]:
        """Publish one event; with an Idempotency-Key it is stored once however often sent."""
        name = parse_topic(topic)
        await self.services.security.access.require_publish(principal, [name])
        self.services.security.publish_rate.take(principal.id)
        draft = Draft(name, data.type, data.data, idempotency_key)
        published = await self.services.publisher.publish(draft, owner=principal.id)
        headers = {"Idempotency-Replayed": "true"} if published.replayed else {}
        return Response(PublishedView(id=str(published.id)), headers=headers)

    @post(name="publish_batch", status_code=200, opt={"problems": (ForeignOrigin, RateLimited)})
    async def publish_batch(
        self,
        data: JSONBody[BatchBody],
        principal: NamedDependency[Principal],
    ) -> BatchView:
        """Publish several events in one round trip; each has its own result."""
        self.services.security.publish_rate.take(principal.id, len(data.events))
        drafts = [await self._draft(item, principal) for item in data.events]
        ready = [draft for draft in drafts if isinstance(draft, Draft)]
        stored = iter(await self.services.publisher.publish_many(ready, owner=principal.id))
        outcomes = [next(stored) if isinstance(one, Draft) else one for one in drafts]
        return BatchView(results=[_result(outcome) for outcome in outcomes])

    @get(
        "/{topic:str}/history",
        name="read_history",
        opt={"problems": (InvalidTopic, InvalidEventId, Forbidden)},
    )
    async def history(
        self,
        *,
        topic: FromPath[str],
        principal: NamedDependency[Principal],
        limit: Limit = 50,
        before: Before = None,
    ) -> Response[HistoryView]:
        """A page of a topic's past, newest first."""
        name = parse_topic(topic)
        await self.services.security.access.require_read(principal, [name])
        bounds = {name: EventId.parse(before)} if before else None
        pages = await self.services.desk.log.newest(
            [name], limit=limit, before=bounds, max_bytes=ANSWER_BYTES
        )
        page = pages.get(name)
        past = list(reversed(page.events)) if page else []
        more = bool(page and page.more)
        content = {
            "events": _raw(past),
            "before": str(past[-1].id) if more else None,
            "has_more": more,
        }
        return _json(content, {"Cache-Control": "private, no-cache"})

    async def _draft(self, item: BatchItem, principal: Principal) -> Draft | ApiError:
        try:
            topic = parse_topic(item.topic)
            await self.services.security.access.require_publish(principal, [topic])
        except ApiError as error:
            return error
        return Draft(topic, item.type, item.data, item.idempotency_key)


class TicketsController(Controller):
    path = "/api/stream-tickets"
    tags = ("events",)
    services: EventServices

    @post(name="issue_ticket", opt={"problems": (InvalidTopic, Forbidden, ForeignOrigin)})
    async def issue(
        self, data: JSONBody[TicketBody], principal: NamedDependency[Principal]
    ) -> Response[TicketView]:
        """A ticket for one `EventSource` on another origin: a minute long, for these topics."""
        topics = [parse_topic(topic) for topic in data.topics]
        ticket = await self.services.security.tickets.issue(principal, topics)
        expires = EventId(int(ticket.expires_at * 1000), 0).time
        view = TicketView(ticket=ticket.token, expires_at=expires)
        return Response(view, headers={"Cache-Control": "no-store"})


def event_routes(services: EventServices) -> list[type[Controller]]:
    """The handlers, bound to `services`.

    Bound here and not by dependency injection: Litestar resolves two dependencies of a
    request in a task group, which costs more than the rest of a connect.
    """
    controllers = (EventsController, TicketsController)
    return [type(one.__name__, (one,), {"services": services}) for one in controllers]


def _reading(
    topics: list[str],
    cursor: str | None,
    types: str | None,
    *,
    named: bool,
    history: int,
    charge: Charge,
) -> Reading:
    names = tuple(dict.fromkeys(parse_topic(topic) for topic in topics))
    shown = frozenset(filter(None, types.split(","))) if types else None
    view = View(tuple(sorted(names)), shown, named)
    return Reading(view, Cursor.parse(cursor) if cursor else None, history, charge=charge)


def json_answer(
    request: AnyRequest, events: EventServices, answer: Answer, *, is_held: bool
) -> Response[Any]:
    etag = f'"{blake2b(answer.cursor.encode(), digest_size=12).hexdigest()}"'
    hint = _hint_ms(events, answer)
    headers = {
        "ETag": etag,
        "X-Poll-After-Ms": str(hint),
        "Vary": "Accept, Authorization, Cookie",
        # A held poll must not be cached at all: Chromium would queue its like behind it.
        "Cache-Control": "no-store" if is_held else "private, no-cache",
    }
    if not answer.is_news and etag in request.headers.get("if-none-match", ""):
        return Response(None, status_code=304, headers=headers)
    resets = [
        sse.reset_data([topic], reason) for topic, (_, reason) in sorted(answer.restarts.items())
    ]
    content = {
        "events": _raw(answer.events),
        "cursor": answer.cursor,
        "reset": resets or None,
        "poll_after_ms": hint,
    }
    return _json(content, headers)


def _hint_ms(events: EventServices, answer: Answer) -> int:
    if answer.more:
        return 0
    middle = BUSY_MS if answer.is_news else events.settings.poll_idle_ms
    return int(middle * events.desk.rng.uniform(0.9, 1.1))


def _raw(events: list[Event] | Any) -> list[msgspec.Raw]:
    return [msgspec.Raw(event.body) for event in events]


def _json(content: Any, headers: dict[str, str]) -> Response[Any]:
    return Response(msgspec.json.encode(content), media_type=JSON, headers=headers)


def _result(outcome: Outcome) -> BatchResult:
    if isinstance(outcome, Published):
        return BatchResult(status=201, id=str(outcome.id))
    return BatchResult(status=outcome.status, problem=render(outcome))
