"""The durable log of each topic: a Redis stream whose entry ids are the event ids.

Every position is the id of an entry. To read on from a position, that entry is read again first. If
it is gone, later entries may have been trimmed or expired as well, and the reader is told so
(`LogPage.gap`). A topic without entries gets a genesis entry, which no reader is sent, so that it
has a position too.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice
from sys import maxsize

from api.events.event import EventId
from api.events.log.entries import EVENT_FIELD, Entry, EntryReader, Span, events_of, xadd
from api.events.log.idempotency import Group, Stored, append_groups, append_once
from api.events.log.page import FIRST_ENTRIES, TOPIC_BYTES, LogPage, page_after, size_of, within
from api.events.log.retention import Retention, Retentions
from api.events.reasons import ResetReason
from api.events.topic import TopicName, log_key
from api.security.rates import Charge, free
from api.upstash import RedisError, TooLarge, UpstashClient

GENESIS_FIELD = "genesis"  # the field of a genesis entry
WRITES_AT_ONCE = 200  # genesis entries in one transaction
REFRESHED_TOPICS = 10_000  # whose last refresh of the TTL is kept in memory
REPLICA_LAG_S = 0.25  # how long a replica of Redis may take to get an entry


class TopicLog:
    """The logs of all topics. Every method that reads or writes raises `RedisError`."""

    def __init__(
        self, client: UpstashClient, retentions: Retentions, monotonic: Callable[[], float]
    ) -> None:
        self.client = client
        self.retentions = retentions
        self.monotonic = monotonic
        self._reader = EntryReader(client)
        self._refreshed: dict[TopicName, float] = {}

    def retention(self, topic: TopicName) -> Retention:
        """Return how much the topic keeps.

        For features that append with a Lua script of their own.
        """
        return self.retentions.of(topic)

    async def append(
        self,
        entries: Sequence[tuple[TopicName, str]],
        *,
        also: Sequence[Sequence[str]] = (),
        as_one: bool = False,
    ) -> list[EventId | RedisError]:
        """Store events (topic and JSON text of each) in one request.

        Returns for each its id, or the error because of which it was not stored. Costs one billed
        command for each event, and one for each topic whose TTL is due for a refresh. `also` are
        commands to send in the same request, whose results are dropped. With `as_one` all of it is
        one transaction.
        """
        due = [topic for topic in dict.fromkeys(topic for topic, _ in entries) if self._due(topic)]
        commands: list[Sequence[str | int]] = [
            xadd(log_key(topic), EVENT_FIELD, text, keep=self.retention(topic).max_events)
            for topic, text in entries
        ]
        commands += [self._expire(topic) for topic in due]
        commands += also
        if len(commands) == 1:
            results = [await self.client.write(*commands[0])]
        elif as_one:
            results = await self.client.transaction(commands)
        else:
            results = await self.client.pipeline(commands)
        self._note_refreshed(due)
        stored = results[: len(entries)]
        return [one if isinstance(one, RedisError) else EventId.parse(one) for one in stored]

    async def append_once(
        self, entries: Sequence[tuple[TopicName, str]], *, key: str, fingerprint: str
    ) -> Stored:
        """Store all of the events, or none if something was stored under `key` before.

        Returns what is stored under the key: for a repeat, the ids and the fingerprint of the first
        call.
        """
        stored = await append_once(
            self.client, self.retentions, entries, key=key, fingerprint=fingerprint
        )
        self._note_refreshed(topic for topic, _ in entries)
        return stored

    async def append_groups(self, groups: Sequence[Group], *, mark_ttl_s: int) -> list[bool]:
        """Store each group, unless its key has stored one in the last `mark_ttl_s` seconds.

        Returns a bool for each group: whether it was stored now.
        """
        return await append_groups(self.client, self.retentions, groups, mark_ttl_s=mark_ttl_s)

    async def heads(
        self, topics: Collection[TopicName], *, charge: Charge = free
    ) -> dict[TopicName, EventId]:
        """Return the newest position of each topic, and write a genesis entry where there is none.

        Costs one command, and two for each topic that was never used. `charge` is called with the
        number of these before they are written, and may raise instead.
        """
        heads = await self.last(topics)
        if missing := [topic for topic in topics if topic not in heads]:
            charge(len(missing))
            heads |= await self.begin(missing)
        return heads

    async def last(self, topics: Collection[TopicName]) -> dict[TopicName, EventId]:
        """Return the id of the newest entry of each topic. Topics without entries are left out."""
        return await self._reader.last(topics)

    async def begin(self, topics: Collection[TopicName]) -> dict[TopicName, EventId]:
        """Write a genesis entry for each topic and return the ids of these entries.

        If another process does so at the same time, a second genesis entry does no harm.
        """
        begun: dict[TopicName, EventId] = {}
        rest = iter(topics)
        while some := list(islice(rest, WRITES_AT_ONCE)):
            begun |= await self._begin(some)
        return begun

    async def read_after(
        self,
        positions: Mapping[TopicName, EventId],
        *,
        limit: int,
        anchored: Collection[TopicName] | None = None,
    ) -> dict[TopicName, LogPage]:
        """Return a page of at most `limit` events for each topic, with one command for all of them.

        For topics in `anchored` (None means all), the entry at the position is read again, which
        proves that nothing after it is gone; they always have a page. That costs the bytes of this
        entry at each poll, so pollers leave out silent topics: these have a page only if there are
        new entries, and then a second command proves it. Where Upstash finds the reply too large,
        less is read at once.
        """
        sure = positions.keys() if anchored is None else anchored
        try:
            return await self._pages(positions, sure, limit)
        except TooLarge:
            if limit == 1 and len(positions) == 1:
                raise
        if limit > 1:
            return await self.read_after(positions, limit=limit // 2, anchored=sure)
        half = len(positions) // 2
        items = list(positions.items())
        pages = await self.read_after(dict(items[:half]), limit=1, anchored=sure)
        return pages | await self.read_after(dict(items[half:]), limit=1, anchored=sure)

    async def restart(
        self, gaps: Mapping[TopicName, LogPage], *, charge: Charge = free
    ) -> dict[TopicName, tuple[EventId, ResetReason]]:
        """Return where each topic with a gap goes on (its newest entry), and why events were lost.

        Topics that turn out to have no gap are left out. `charge` is called as in `heads`.
        """
        heads = await self.heads(gaps.keys(), charge=charge)
        suspects = {t: gaps[t].start for t, head in heads.items() if head < gaps[t].start}
        if suspects:
            # A replica that lags does not hold a position yet that another process read from a
            # fresher one. It looks as if the position came from the future: look again, later.
            await asyncio.sleep(REPLICA_LAG_S)
            again = await self.read_after(suspects, limit=1)
            heads = {t: at for t, at in heads.items() if t not in again or again[t].gap}
        return {
            topic: (head, ResetReason.UNKNOWN if topic in suspects else gaps[topic].reason)
            for topic, head in heads.items()
        }

    async def newest(
        self,
        topics: Sequence[TopicName],
        *,
        limit: int,
        before: Mapping[TopicName, EventId] | None = None,
        after: Mapping[TopicName, EventId] | None = None,
        max_bytes: int | None = None,
    ) -> dict[TopicName, LogPage]:
        """Return a page with the newest `limit` events of each topic, oldest first.

        Only events below `before` and above `after` count, for the topics that these maps name.
        `LogPage.end` is the newest entry there, and `more` says that there may be older events.
        Topics without such entries have no page. Costs one command for each topic, or more for
        large events.

        All pages together hold `max_bytes`, but each may hold `TOPIC_BYTES` and at least one event.
        A topic with large events therefore has fewer of them.
        """
        spans = {topic: Span.between(topic, before or {}, after or {}) for topic in topics}
        wanted = {topic: span for topic, span in spans.items() if not span.is_empty}
        most = max(TOPIC_BYTES, (max_bytes or maxsize) // max(1, len(topics)))
        # Two more: the genesis entry, and one to see whether there are older events.
        count = min(limit + 2, max(3, FIRST_ENTRIES // max(1, len(topics))))
        try:
            found = await self._reader.newest(wanted, count)
        except TooLarge:
            found = {t: await self._reader.newest_of(t, span, count) for t, span in wanted.items()}
            count = 0
        pages = {
            # Popped, so that what was read of a topic is let go when its page is made.
            topic: await self._past(
                topic, found.pop(topic), wanted[topic], limit=limit, most=most, is_all=count
            )
            for topic in tuple(found)
        }
        return {topic: page for topic, page in pages.items() if page is not None}

    async def _pages(
        self, positions: Mapping[TopicName, EventId], sure: Collection[TopicName], limit: int
    ) -> dict[TopicName, LogPage]:
        starts = {t: at.previous() if t in sure else at for t, at in positions.items()}
        found = await self._reader.after(starts, limit + 1)
        unsure = {t: positions[t].previous() for t in found if t not in sure}
        proof = await self._reader.after(unsure, 1) if unsure else {}
        pages = {}
        for topic, start in positions.items():
            news = found.get(topic, [])
            more = len(news) > limit
            if topic in sure:
                pages[topic] = page_after(topic, start, news[:1], news[1:], more=more)
            elif news:
                pages[topic] = page_after(topic, start, proof.get(topic, []), news, more=more)
        return pages

    async def _past(
        self,
        topic: TopicName,
        entries: list[Entry],
        span: Span,
        *,
        limit: int,
        most: int,
        is_all: int,
    ) -> LogPage | None:
        """Return the newest events of `entries` and, if these are too few, of older entries.

        Fewer entries than `is_all` mean that there are no older ones.
        """
        if not entries:
            return None
        end, lowest = entries[0][0], entries[-1][0]
        at_end = len(entries) < is_all
        events = events_of(topic, entries)
        del entries
        while not at_end and len(events) <= limit and (size := size_of(events)) <= most:
            # As many of their size as fit, and no more at once than are in memory already.
            fitting = (most - size) * len(events) // max(1, size) + 1
            count = min(limit + 2, max(FIRST_ENTRIES // 4, fitting))
            below = await self._reader.newest_of(topic, span.below(lowest), count)
            at_end = not below
            if below:
                lowest = below[-1][0]
                events += events_of(topic, below)
        kept = within(events[:limit], most)
        more = len(events) > len(kept) or not at_end
        return LogPage(end, end, kept[::-1], more=more)

    def _expire(self, topic: TopicName) -> list[str | int]:
        return ["EXPIRE", log_key(topic), self.retention(topic).ttl_s]

    def _due(self, topic: TopicName) -> bool:
        """Whether a quarter of the TTL has passed since this process last refreshed it."""
        last = self._refreshed.get(topic)
        return last is None or self.monotonic() - last > self.retention(topic).ttl_s / 4

    def _note_refreshed(self, topics: Iterable[TopicName]) -> None:
        now = self.monotonic()
        for topic in topics:
            self._refreshed.pop(topic, None)
            self._refreshed[topic] = now
        while len(self._refreshed) > REFRESHED_TOPICS:
            del self._refreshed[next(iter(self._refreshed))]

    async def _begin(self, topics: Sequence[TopicName]) -> dict[TopicName, EventId]:
        commands: list[Sequence[str | int]] = []
        for topic in topics:
            commands.append(["XADD", log_key(topic), "*", GENESIS_FIELD, "1"])
            commands.append(self._expire(topic))
        results = await self.client.transaction(commands, repeatable=True)
        ids = dict(zip(topics, results[::2], strict=True))
        for failed in (one for one in ids.values() if isinstance(one, RedisError)):
            raise failed
        self._note_refreshed(topics)
        return {topic: EventId.parse(one) for topic, one in ids.items()}
