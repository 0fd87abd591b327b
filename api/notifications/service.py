"""Sends and lists notifications, and marks them as read or deleted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from api.events import (
    Cursor,
    Draft,
    Event,
    EventId,
    HistoryPage,
    LogPage,
    Published,
    Publisher,
    Shows,
    TopicLog,
    TopicName,
    cursor_text,
    page_back,
)
from api.notifications.models import NotificationBody
from api.notifications.state import Changed, ReadState, ReadStates
from api.notifications.topics import BROADCAST, NOTIFICATION, parse_name, personal, topics_of
from api.problems import InvalidCursor, NotFound

SCOPE = "/api/notifications"
UNKNOWN = "This is not, or no longer, among your notifications."
CLOCK_SKEW_MS = 60_000  # a cursor may be ahead of our clock by this


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of a user's notifications, newest first, each with whether it was read.

    `next_cursor` asks for the next, older page; None on the last. `seen` is a cursor after the
    newest notification of all; only a first page has it, on others it is None.
    """

    events: Sequence[tuple[Event, bool]]
    next_cursor: str | None
    seen: str | None


@dataclass(frozen=True, slots=True)
class Notifications:
    """The notifications of all users. Every method may raise `RedisError`.

    A notification is an event in a topic's log and is stored nowhere else, and a broadcast is one
    event for everybody. So listing, streaming and resuming read the same log. Users are named by
    their segments.
    """

    publisher: Publisher
    log: TopicLog
    states: ReadStates

    async def send(
        self, body: NotificationBody, *, caller: str, key: str | None
    ) -> list[tuple[TopicName, Published]]:
        """Publish a notification to each recipient, to all of them or to none.

        `caller` is the user who sends it. With the same idempotency key `key` it is stored once;
        None is no key. Returns topic and result for each recipient in order. May raise any
        `ApiError` of publishing.
        """
        data = body.model_dump(mode="json", exclude={"to"})
        topics = recipients(body)
        drafts = [Draft(topic, NOTIFICATION, data) for topic in topics]
        stored = await self.publisher.publish_together(drafts, owner=caller, scope=SCOPE, key=key)
        return list(zip(topics, stored, strict=True))

    async def page(self, user: str, *, limit: int, cursor: str | None, unread: bool) -> Listed:
        """Return one page of the user's notifications of both topics, `limit` at most.

        `cursor` is `next_cursor` of an earlier page; None asks for the first. `unread` leaves out
        what was read. Deleted ones are always left out. Raises `InvalidCursor`.
        """
        topics = topics_of(user)
        heads = {} if cursor else await self.log.heads(topics)
        page, state = await self._read(
            user, topics, heads=heads, limit=limit, cursor=cursor, unread=unread
        )
        seen = cursor_text(heads) if heads else None
        listed = [(event, state.is_read(event)) for event in page.events]
        return Listed(listed, page.next_cursor, seen)

    async def unread(self, user: str) -> int:
        """Return how many of the user's notifications are neither read nor deleted."""
        return await self.states.unread(user)

    async def newest_unread(
        self, user: str, topics: Sequence[TopicName], *, limit: int
    ) -> dict[TopicName, LogPage]:
        """Return the newest unread notifications, with which a stream of these topics begins.

        There are `limit` at most in all. Each page holds those of one topic, oldest first, and ends
        at the topic's newest entry, from which the stream goes on.
        """
        heads = await self.log.heads(topics)
        page, _ = await self._read(user, topics, heads=heads, limit=limit, cursor=None, unread=True)
        told: dict[TopicName, list[Event]] = {topic: [] for topic in topics}
        for event in reversed(page.events):
            told[event.topic].append(event)
        return {topic: LogPage(head, head, told[topic]) for topic, head in heads.items()}

    async def mark_read(self, user: str, ids: Sequence[str]) -> Changed:
        """Mark the notifications with these ids (`<topic>/<event id>`) as read.

        The user's other devices are told by an event. Those that were read already are not counted.
        Raises `InvalidEventId`.
        """
        changed = await self.states.mark_read(user, [parse_name(one) for one in ids])
        await self._announce(user, changed.count)
        return changed

    async def mark_up_to(self, user: str, cursor: str) -> Changed:
        """Mark as read everything up to and including the positions of a cursor.

        A cursor says it and not a time: it has a position in each topic, so a notification that
        comes meanwhile stays unread, whatever its topic. `count` of the result is the number of
        topics in which something changed. Raises `InvalidCursor`, also for a cursor of other topics
        or of the future.
        """
        seen = Cursor.parse(cursor)
        own, broadcast = (seen.position(topic) for topic in topics_of(user))
        latest_ms = self.states.clock() * 1000 + CLOCK_SKEW_MS
        if own is None and broadcast is None:
            raise InvalidCursor("This cursor is not of the caller's notifications.")
        # Such a cursor would mark notifications that are still to come.
        if any(at is not None and at.ms > latest_ms for at in (own, broadcast)):
            raise InvalidCursor("This cursor is ahead of all notifications.")
        count = await self.states.mark_up_to(user, own, broadcast)
        await self._announce(user, count)
        return Changed(count)

    async def mark_one_read(self, user: str, topic: str, event_id: str) -> None:
        """Mark one as read. To repeat it is no error.

        Raises `NotFound` if it is not among the user's notifications, and `InvalidEventId`.
        """
        changed = await self.states.mark_read(user, [(topic, EventId.parse(event_id))])
        await self._announce(user, changed.count)
        if changed.missing:
            raise NotFound(UNKNOWN)

    async def delete(self, user: str, topic: str, event_id: str) -> None:
        """Mark one as deleted, so that it is never shown to the user again.

        Raises `NotFound` if it is not among the user's notifications, and `InvalidEventId`. To
        delete one twice is no error.
        """
        changed = await self.states.delete(user, [(topic, EventId.parse(event_id))])
        await self._announce(user, changed.count)
        if changed.missing:
            raise NotFound(UNKNOWN)

    async def _read(
        self,
        user: str,
        topics: Sequence[TopicName],
        *,
        heads: Mapping[TopicName, EventId],
        limit: int,
        cursor: str | None,
        unread: bool,
    ) -> tuple[HistoryPage, ReadState]:
        """Return a page and the read state: the entries up to `heads`, or the page after `cursor`.

        The state is read after the heads. A change that it does not have yet is told by an event
        after the heads, so a reader who goes on from them misses nothing.
        """
        state, oldest = await self.states.of(user), self.states.oldest()
        floors = {t: max(oldest, state.up_to(t)) if unread else oldest for t in topics}
        page = await page_back(
            self.log,
            topics,
            limit=limit,
            cursor=cursor,
            shows=_shown(state, unread=unread),
            before={topic: head.next() for topic, head in heads.items()},
            after=floors,
        )
        return page, state

    async def _announce(self, user: str, count: int) -> None:
        if count:
            await self.publisher.stored([personal(user)])


def recipients(body: NotificationBody) -> list[TopicName]:
    """Return the topics to publish to: the one for all, or one for each user in order."""
    if body.to == "all":
        return [BROADCAST]
    return [personal(user) for user in dict.fromkeys(body.to)]


def _shown(state: ReadState, *, unread: bool) -> Shows:
    def shows(event: Event) -> bool:
        if event.type != NOTIFICATION or state.is_deleted(event):
            return False
        return not (unread and state.is_read(event))

    return shows
