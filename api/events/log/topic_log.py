"""The durable log of each topic: one Redis stream, whose entry ids are the event ids.

No event is lost without a word, because every position is the id of an entry. To read on from
a position, that entry itself is asked for first. If it does not come back, entries after it
may have been trimmed or expired as well, and the reader is told so (`LogPage.gap`). A topic
without entries gets a genesis entry, which no reader sees, so that it has a position too.
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

GENESIS_FIELD = "genesis"
WRITES_AT_ONCE = 200
REFRESHED_TOPICS = 10_000
REPLICA_LAG_S = 0.25


class TopicLog:
    """The logs of all topics. Every method raises `RedisError` when Redis cannot do its part."""

    def __init__(
        self, client: UpstashClient, retentions: Retentions, monotonic: Callable[[], float]
    ) -> None:
        self.client = client
        self.retentions = retentions
        self.monotonic = monotonic
        self._reader = EntryReader(client)
        self._refreshed: dict[TopicName, float] = {}

    def retention(self, topic: TopicName) -> Retention:
        """What the topic keeps: for features that append by a script of their own."""
        return self.retentions.of(topic)

    async def append(
        self,
        entries: Sequence[tuple[TopicName, str]],
        *,
        also: Sequence[Sequence[str]] = (),
        as_one: bool = False,
    ) -> list[EventId | RedisError]:
        """Store events in one round trip; for each its id, or why it was not stored.

        Costs one billed command an event, and one more for each topic whose TTL is due for a
        refresh. `also` are further commands for the same round trip, whose results are not
        returned. With `as_one` nobody sees some of the events without the others.
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
        """Store events, all or none, unless `key` has stored some before.

        A repeat stores nothing and returns what the first call stored, with its fingerprint.
        """
        stored = await append_once(
            self.client, self.retentions, entries, key=key, fingerprint=fingerprint
        )
        self._note_refreshed(topic for topic, _ in entries)
        return stored

    async def append_groups(self, groups: Sequence[Group], *, mark_ttl_s: int) -> list[bool]:
        """Store each group of events unless its key stored one in the last `mark_ttl_s` seconds.

        Returns for each group whether it was stored now.
        """
        return await append_groups(self.client, self.retentions, groups, mark_ttl_s=mark_ttl_s)

    async def heads(
        self, topics: Collection[TopicName], *, charge: Charge = free
    ) -> dict[TopicName, EventId]:
        """Where each topic stands now. One command, and two for each topic never used.

        `charge` is told how many were never used before these are written; it may raise instead.
        """
        heads = await self.last(topics)
        if missing := [topic for topic in topics if topic not in heads]:
            charge(len(missing))
            heads |= await self.begin(missing)
        return heads

    async def last(self, topics: Collection[TopicName]) -> dict[TopicName, EventId]:
        """The id of the newest entry of each topic; topics without entries are left out."""
        return await self._reader.last(topics)

    async def begin(self, topics: Collection[TopicName]) -> dict[TopicName, EventId]:
        """Write a genesis entry for each topic and return their ids.

        Another process may do the same at the same time: a second genesis entry does no harm.
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
        """A page of `limit` events for each topic that has news, with one command for all.

        For topics in `anchored` (all by default) the entry at the position is read again, which
        proves that nothing after it is gone. That costs its bytes at each poll, so a poller
        leaves out the silent topics: only when these have news, a second command proves it.
        Reads fewer at once where Upstash finds the reply too large.
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
        """Where to go on after each real gap, which is the newest entry, and why.

        A topic whose gap was none after all is left out. Charges as `heads` does.
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
        """The newest `limit` events of each topic, oldest first; one command each.

        Only those below `before` and above `after`, on the topics that these name. `end` is the
        newest entry there, `more` says that there may be older events. A topic without any
        entry there has no page. All pages together hold `max_bytes`, or each `TOPIC_BYTES` if
        that is more: a topic with larger events has fewer of them, at least one.
        """
        spans = {topic: Span.between(topic, before or {}, after or {}) for topic in topics}
        wanted = {topic: span for topic, span in spans.items() if not span.is_empty}
        most = max(TOPIC_BYTES, (max_bytes or maxsize) // max(1, len(topics)))
        # One for the genesis entry, one to see whether there are older ones.
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
        """The newest events of `entries` and, where these hold too few, of those below them.

        Fewer entries than `is_all` are all that there are.
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
        """A TTL is refreshed when a quarter of it has passed, as this process remembers."""
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
