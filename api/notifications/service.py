"""Sending, listing, and keeping track of what was read."""

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
CLOCK_SKEW_MS = 60_000


@dataclass(frozen=True, slots=True)
class Listed:
    """Notifications, newest first, each with whether it was read.

    `seen` stands behind the newest of a first page; None on those that follow.
    """

    events: Sequence[tuple[Event, bool]]
    next_cursor: str | None
    seen: str | None


@dataclass(frozen=True, slots=True)
class Notifications:
    """The notifications of all users. Every method may raise `RedisError`.

    A notification is an entry of a topic's log and is stored nowhere else; a broadcast is one
    entry for everybody. So listing, streaming and resuming read the same thing.
    """

    publisher: Publisher
    log: TopicLog
    states: ReadStates

    async def send(
        self, body: NotificationBody, *, caller: str, key: str | None
    ) -> list[tuple[TopicName, Published]]:
        """Store it for each recipient, for all of them or for none. Raises `ApiError`."""
        data = body.model_dump(mode="json", exclude={"to"})
        topics = recipients(body)
        drafts = [Draft(topic, NOTIFICATION, data) for topic in topics]
        stored = await self.publisher.publish_together(drafts, owner=caller, scope=SCOPE, key=key)
        return list(zip(topics, stored, strict=True))

    async def page(self, user: str, *, limit: int, cursor: str | None, unread: bool) -> Listed:
        """Newest first, of both topics in one order. Raises `InvalidCursor`."""
        topics = topics_of(user)
        heads = {} if cursor else await self.log.heads(topics)
        page, state = await self._read(
            user, topics, heads=heads, limit=limit, cursor=cursor, unread=unread
        )
        seen = cursor_text(heads) if heads else None
        listed = [(event, state.is_read(event)) for event in page.events]
        return Listed(listed, page.next_cursor, seen)

    async def unread(self, user: str) -> int:
        """How many of the user's notifications are neither read nor deleted."""
        return await self.states.unread(user)

    async def newest_unread(
        self, user: str, topics: Sequence[TopicName], *, limit: int
    ) -> dict[TopicName, LogPage]:
        """What a stream of these topics begins with; each goes on behind its page."""
        heads = await self.log.heads(topics)
        page, _ = await self._read(user, topics, heads=heads, limit=limit, cursor=None, unread=True)
        told: dict[TopicName, list[Event]] = {topic: [] for topic in topics}
        for event in reversed(page.events):
            told[event.topic].append(event)
        return {topic: LogPage(head, head, told[topic]) for topic, head in heads.items()}

    async def mark_read(self, user: str, ids: Sequence[str]) -> Changed:
        """Mark some as read, and tell the user's other devices. Raises `InvalidEventId`."""
        changed = await self.states.mark_read(user, [parse_name(one) for one in ids])
        await self._announce(user, changed.count)
        return changed

    async def mark_up_to(self, user: str, cursor: str) -> Changed:
        """Mark all as read that a client has seen. Raises `InvalidCursor`.

        By its cursor and not by time: it holds a position for each topic, so a notification
        that comes meanwhile, on whatever topic, stays unread.
        """
        seen = Cursor.parse(cursor)
        own, broadcast = (seen.position(topic) for topic in topics_of(user))
        latest_ms = self.states.clock() * 1000 + CLOCK_SKEW_MS
        if own is None and broadcast is None:
            raise InvalidCursor("This cursor is not of the caller's notifications.")
        # It would mark what is still to come.
        if any(at is not None and at.ms > latest_ms for at in (own, broadcast)):
            raise InvalidCursor("This cursor is ahead of all notifications.")
        count = await self.states.mark_up_to(user, own, broadcast)
        await self._announce(user, count)
        return Changed(count)

    async def mark_one_read(self, user: str, topic: str, event_id: str) -> None:
        """Raises `NotFound` unless it is among the user's notifications."""
        changed = await self.states.mark_read(user, [(topic, EventId.parse(event_id))])
        await self._announce(user, changed.count)
        if changed.missing:
            raise NotFound(UNKNOWN)

    async def delete(self, user: str, topic: str, event_id: str) -> None:
        """Never show it to the user again. Raises `NotFound` as above."""
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
        """Up to `heads` where given, or behind the cursor; and the state.

        The state is read later than the heads, so what it does not tell yet is an event behind
        them: whoever goes on from there misses nothing.
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
    """The topics that a notification is published to."""
    if body.to == "all":
        return [BROADCAST]
    return [personal(user) for user in dict.fromkeys(body.to)]


def _shown(state: ReadState, *, unread: bool) -> Shows:
    def shows(event: Event) -> bool:
        if event.type != NOTIFICATION or state.is_deleted(event):
            return False
        return not (unread and state.is_read(event))

    return shows
