"""The routes of `/api/notifications`."""

from functools import partial
from typing import Annotated

import msgspec
from litestar import Controller, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from api.controllers import bound
from api.events import (
    MAX_HISTORY,
    AnyRequest,
    Conn,
    CursorParameter,
    Event,
    Events,
    EventStream,
    IdempotencyHeader,
    LastEventId,
    LastEventIdInQuery,
    Limit,
    Named,
    PageCursor,
    ReadRequest,
    first_cursor,
    open_stream,
    require_stream_accepted,
)
from api.notifications.models import (
    ChangedView,
    NotificationBody,
    NotificationSent,
    NotificationsView,
    ReadBody,
    SentNotification,
    UnreadView,
)
from api.notifications.service import Notifications, recipients
from api.notifications.topics import topics_of
from api.payloads.responses import UNCACHED, page_response
from api.problems import (
    OF_PUBLISHING,
    OF_STREAMS,
    ForeignOrigin,
    InvalidCursor,
    InvalidEventId,
    NotFound,
)
from api.security.grants import require_ticket
from api.security.principal import Principal

FIRST = 20

SENDING = {"problems": OF_PUBLISHING}
STREAMING = {"problems": (InvalidCursor, *OF_STREAMS), "is_stream": True, "takes_ticket": True}
MARKING = {"problems": (InvalidCursor, InvalidEventId, ForeignOrigin)}
CHANGING = {"problems": (InvalidEventId, NotFound, ForeignOrigin)}

Unread = Annotated[
    bool, QueryParameter(name="unread", description="`true` leaves out what was read.")
]
FirstUnread = Annotated[
    int,
    QueryParameter(
        name="unread",
        ge=0,
        le=MAX_HISTORY,
        description="Without a cursor: start with so many of the newest unread, oldest first.",
    ),
]


class NotificationsController(Controller):
    """`/api/notifications`: send, list, count, stream, mark as read and delete notifications."""

    path = "/api/notifications"
    tags = ("notifications",)
    notifications: Notifications
    events: Events

    @post(name="send_notification", opt=SENDING)
    async def send(
        self,
        *,
        data: JSONBody[NotificationBody],
        principal: NamedDependency[Principal],
        idempotency_key: IdempotencyHeader = None,
    ) -> Response[NotificationSent]:
        """Send a notification to some users or to all; with an Idempotency-Key only once."""
        topics, security = recipients(data), self.events.security
        await security.access.require_publish(principal, topics)
        security.publish_rate.take(principal.id, len(topics))
        stored = await self.notifications.send(data, caller=principal.id, key=idempotency_key)
        sent = [SentNotification(id=str(one.id), topic=topic) for topic, one in stored]
        replayed = any(one.replayed for _, one in stored)
        headers = {"Idempotency-Replayed": "true"} if replayed else {}
        return Response(NotificationSent(sent=sent), headers=headers)

    @get(name="list_notifications", opt={"problems": (InvalidCursor,)})
    async def list(
        self,
        *,
        principal: NamedDependency[Principal],
        limit: Limit = 50,
        cursor: PageCursor = None,
        unread: Unread = False,
    ) -> Response[NotificationsView]:
        """List a page of the caller's notifications, newest first. New ones shift no page."""
        page = await self.notifications.page(
            principal.id, limit=limit, cursor=cursor, unread=unread
        )
        flagged = [_with_flag(event, is_read=is_read) for event, is_read in page.events]
        return page_response(flagged, page.next_cursor, seen=page.seen)

    @get("/unread", name="count_unread_notifications")
    async def count_unread(self, principal: NamedDependency[Principal]) -> Response[UnreadView]:
        """Count the caller's unread notifications."""
        unread = await self.notifications.unread(principal.id)
        return Response(UnreadView(unread=unread), headers=UNCACHED)

    @get("/stream", name="stream_notifications", opt=STREAMING)
    async def stream(
        self,
        *,
        request: AnyRequest,
        principal: NamedDependency[Principal],
        last_event_id: LastEventId = None,
        last_id_in_query: LastEventIdInQuery = None,
        cursor: CursorParameter = None,
        unread: FirstUnread = FIRST,
        named: Named = True,
        conn: Conn = None,
    ) -> EventStream:
        """Stream the newest unread notifications, then new ones and what is read or deleted."""
        require_ticket(principal, topics_of(principal.id))
        require_stream_accepted(request, NotificationsController.path)
        read_request = ReadRequest.of(
            topics_of(principal.id),
            first_cursor(last_event_id, last_id_in_query, cursor),
            named=named,
            history=unread,
            newest=partial(self.notifications.newest_unread, principal.id),
        )
        return await open_stream(request, self.events, read_request, principal=principal, conn=conn)

    @post("/read", name="mark_notifications_read", status_code=200, opt=MARKING)
    async def mark_read(
        self, data: JSONBody[ReadBody], principal: NamedDependency[Principal]
    ) -> ChangedView:
        """Mark notifications as read, by id or up to a cursor. The caller's streams tell it."""
        notifications = self.notifications
        if data.up_to is not None:
            changed = await notifications.mark_up_to(principal.id, data.up_to)
        else:
            changed = await notifications.mark_read(principal.id, data.ids or [])
        return ChangedView(changed=changed.count, missing=[*changed.missing])

    @post(
        "/{topic:str}/{event_id:str}/read",
        name="mark_notification_read",
        status_code=204,
        opt=CHANGING,
    )
    async def mark_one_read(
        self, topic: FromPath[str], event_id: FromPath[str], principal: NamedDependency[Principal]
    ) -> None:
        """Mark one notification as read. To repeat it changes nothing."""
        await self.notifications.mark_one_read(principal.id, topic, event_id)

    @delete("/{topic:str}/{event_id:str}", name="delete_notification", opt=CHANGING)
    async def delete(
        self, topic: FromPath[str], event_id: FromPath[str], principal: NamedDependency[Principal]
    ) -> None:
        """Delete one notification for the caller. To repeat it changes nothing."""
        await self.notifications.delete(principal.id, topic, event_id)


def notification_routes(notifications: Notifications, events: Events) -> list[type[Controller]]:
    """Build the controllers of all routes of notifications."""
    return [bound(NotificationsController, notifications=notifications, events=events)]


def _with_flag(event: Event, *, is_read: bool) -> msgspec.Raw:
    """Return the event's own JSON object with the member `read` added."""
    return msgspec.Raw(event.body[:-1] + b',"read":%s}' % msgspec.json.encode(is_read))
