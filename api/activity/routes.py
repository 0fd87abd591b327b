"""The routes of `/api/activity`."""

from typing import Annotated

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from api.activity.feeds import feed_topic
from api.activity.models import ActivityBody, ActivityPosted, FeedView
from api.activity.service import ActivityFeeds
from api.controllers import bound
from api.events import (
    MAX_HISTORY,
    AnyRequest,
    Conn,
    CursorParameter,
    Events,
    EventStream,
    IdempotencyHeader,
    LastEventId,
    LastEventIdInQuery,
    Limit,
    Named,
    PageCursor,
    ReadRequest,
    encoded,
    first_cursor,
    open_stream,
    require_stream_accepted,
)
from api.payloads.responses import page_response
from api.problems import OF_PUBLISHING, OF_STREAMS, Forbidden, InvalidCursor, InvalidTopic
from api.security.principal import Principal

FIRST = 10

POSTING = {"problems": (InvalidTopic, *OF_PUBLISHING)}
LISTING = {"problems": (InvalidTopic, InvalidCursor, Forbidden)}
STREAMING = {
    "problems": (InvalidTopic, InvalidCursor, *OF_STREAMS),
    "is_stream": True,
    "takes_ticket": True,
}

First = Annotated[
    int,
    QueryParameter(
        name="history",
        ge=0,
        le=MAX_HISTORY,
        description="Without a cursor: start with so many of the newest entries, oldest first.",
    ),
]


class ActivityController(Controller):
    """`/api/activity/{feed}`: add to a feed, list its entries and stream them."""

    path = "/api/activity/{feed:str}"
    tags = ("activity",)
    feeds: ActivityFeeds
    events: Events

    @post(name="post_activity", opt=POSTING)
    async def post(
        self,
        *,
        feed: FromPath[str],
        data: JSONBody[ActivityBody],
        principal: NamedDependency[Principal],
        idempotency_key: IdempotencyHeader = None,
    ) -> Response[ActivityPosted]:
        """Add an activity to a feed. With an Idempotency-Key it is added only once."""
        topic, security = feed_topic(feed), self.events.security
        await security.access.require_publish(principal, [topic])
        security.publish_rate.take(principal.id)
        published = await self.feeds.post(topic, data, caller=principal.id, key=idempotency_key)
        headers = {"Idempotency-Replayed": "true"} if published.replayed else {}
        return Response(ActivityPosted(id=str(published.id), topic=topic), headers=headers)

    @get(name="list_activity", opt=LISTING)
    async def list(
        self,
        *,
        feed: FromPath[str],
        principal: NamedDependency[Principal],
        limit: Limit = 50,
        cursor: PageCursor = None,
    ) -> Response[FeedView]:
        """List a page of a feed, newest entry first; new entries do not shift the pages."""
        topic = feed_topic(feed)
        await self.events.security.access.require_read(principal, [topic])
        page = await self.feeds.page(topic, limit=limit, cursor=cursor)
        return page_response(encoded(page.events), page.next_cursor)

    @get("/stream", name="stream_activity", opt=STREAMING)
    async def stream(
        self,
        *,
        feed: FromPath[str],
        request: AnyRequest,
        principal: NamedDependency[Principal],
        last_event_id: LastEventId = None,
        last_id_in_query: LastEventIdInQuery = None,
        cursor: CursorParameter = None,
        history: First = FIRST,
        named: Named = True,
        conn: Conn = None,
    ) -> EventStream:
        """Stream the newest entries of a feed, then new ones; with a cursor, what is after it."""
        topic = feed_topic(feed)
        await self.events.security.access.require_read(principal, [topic])
        require_stream_accepted(request, f"/api/activity/{feed}")
        read_request = ReadRequest.of(
            [topic],
            first_cursor(last_event_id, last_id_in_query, cursor),
            named=named,
            history=history,
            charge=self.events.security.new_topics_of(principal),
        )
        return await open_stream(request, self.events, read_request, principal=principal, conn=conn)


def activity_routes(feeds: ActivityFeeds, events: Events) -> list[type[Controller]]:
    """Build the controllers of all routes of activity feeds."""
    return [bound(ActivityController, feeds=feeds, events=events)]
