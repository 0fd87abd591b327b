"""The routes `/api/events` and `/api/stream-tickets`: publish, read and get a ticket."""

from typing import Any

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from api.controllers import bound
from api.events.event import EventId
from api.events.http.models import (
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
from api.events.http.parameters import (
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
from api.events.http.read import answer_read, encoded, first_cursor
from api.events.log.page import ANSWER_BYTES
from api.events.publisher import Draft, Outcome, Published
from api.events.read_request import ReadRequest
from api.events.stream.opening import AnyRequest, Events
from api.events.topic import parse_topic
from api.payloads.responses import UNCACHED, json_response
from api.problem_json import render
from api.problems import (
    OF_PUBLISHING,
    OF_STREAMS,
    ApiError,
    Forbidden,
    ForeignOrigin,
    InvalidCursor,
    InvalidEventId,
    InvalidTopic,
    RateLimited,
    ReservedEventType,
)
from api.security.principal import Principal

# For the OpenAPI document: problems of a handler, besides those that every handler may have.
READING = {
    "problems": (InvalidTopic, InvalidCursor, RateLimited, *OF_STREAMS),
    "takes_ticket": True,
}
PUBLISHING = {"problems": (InvalidTopic, ReservedEventType, *OF_PUBLISHING)}


class EventsController(Controller):
    """The routes below `/api/events`, which read and publish events."""

    path = "/api/events"
    tags = ("events",)
    services: Events

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
        """Read topics from a cursor, as a stream that stays open or as one JSON answer.

        The header `Accept` decides which. All topics must be readable for the caller.
        """
        read_request = ReadRequest.of(
            map(parse_topic, topic),
            first_cursor(last_event_id, last_id_in_query, cursor),
            types=types,
            named=named,
            history=history,
            charge=self.services.security.new_topics_of(principal),
        )
        await self.services.security.access.require_read(principal, read_request.topics)
        return await answer_read(
            request, self.services, read_request, principal=principal, wait_s=wait, conn=conn
        )

    @post("/{topic:str}", name="publish_event", opt=PUBLISHING)
    async def publish(
        self,
        *,
        topic: FromPath[str],
        data: JSONBody[PublishBody],
        principal: NamedDependency[Principal],
        idempotency_key: IdempotencyHeader = None,
    ) -> Response[PublishedView]:
        """Publish one event and return its id.

        With an Idempotency-Key it is stored once, however often it is sent.
        """
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
        """Publish up to 100 events in one request and return a result for each.

        The answer is 200 even if some of them were refused.
        """
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
        """Return a page of the past events of one topic, newest first."""
        name = parse_topic(topic)
        await self.services.security.access.require_read(principal, [name])
        bounds = {name: EventId.parse(before)} if before else None
        pages = await self.services.streaming.log.newest(
            [name], limit=limit, before=bounds, max_bytes=ANSWER_BYTES
        )
        page = pages.get(name)
        past = list(reversed(page.events)) if page else []
        more = bool(page and page.more)
        content = {
            "events": encoded(past),
            "before": str(past[-1].id) if more else None,
            "has_more": more,
        }
        return json_response(content, UNCACHED)

    async def _draft(self, item: BatchItem, principal: Principal) -> Draft | ApiError:
        try:
            topic = parse_topic(item.topic)
            await self.services.security.access.require_publish(principal, [topic])
        except ApiError as error:
            return error
        return Draft(topic, item.type, item.data, item.idempotency_key)


class TicketsController(Controller):
    """The route `/api/stream-tickets`, which issues tickets."""

    path = "/api/stream-tickets"
    tags = ("events",)
    services: Events

    @post(name="issue_ticket", opt={"problems": (InvalidTopic, Forbidden, ForeignOrigin)})
    async def issue(
        self, data: JSONBody[TicketBody], principal: NamedDependency[Principal]
    ) -> Response[TicketView]:
        """Issue a ticket that opens one stream of these topics within a minute.

        It is for an `EventSource` on another origin, which can send no token in a header.
        """
        topics = [parse_topic(topic) for topic in data.topics]
        ticket = await self.services.security.tickets.issue(principal, topics)
        expires = EventId(int(ticket.expires_at * 1000), 0).time
        view = TicketView(ticket=ticket.token, expires_at=expires)
        return Response(view, headers={"Cache-Control": "no-store"})


def event_routes(services: Events) -> list[type[Controller]]:
    """Return the controllers of this package, which use `services`."""
    return [bound(one, services=services) for one in (EventsController, TicketsController)]


def _result(outcome: Outcome) -> BatchResult:
    if isinstance(outcome, Published):
        return BatchResult(status=201, id=str(outcome.id))
    return BatchResult(status=outcome.status, problem=render(outcome))
