"""The durable log of each topic: one Redis stream, whose entry ids are the event ids.

Nothing is lost in silence because every position stands on an entry. Reading *inclusively*
from a position must bring that entry back first; if it does not, something after it may have
been trimmed or expired, and the reader is told (`LogPage.gap`). A topic without entries gets a
genesis entry, which is never delivered, so that there is something to stand on.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from sys import maxsize
from typing import Any

from api.events.event import EventId
from api.events.log.commands import EVENT_FIELD, Entry, Span, entries_of, events_of, xrevrange
from api.events.log.idempotency import APPEND_ONCE, Group, Stored, append_groups
from api.events.log.page import FIRST_ENTRIES, TOPIC_BYTES, LogPage, size_of, within
from api.events.log.retention import Retention, Retentions
from api.events.reasons import ResetReason
from api.events.topic import TopicName, log_key, topic_of_key
from api.security.rates import Charge, free
from api.upstash import RedisError, Refused, TooLarge, UpstashClient

GENESIS_FIELD = "genesis"
WRITES_AT_ONCE = 200
REFRESHED_TOPICS = 10_000
REPLICA_LAG_S = 0.25
LARGE_READS = 4


@dataclass(slots=True)
class TopicLog:
    """All topics' logs. Every method raises `RedisError` when Redis does not do its part."""

    client: UpstashClient
    retentions: Retentions
    monotonic: Callable[[], float]
    _refreshed: dict[TopicName, float] = field(default_factory=dict)
    _knows_plus: bool = True
    # Replies are as large as their events: no more of them at a time, whoever asks.
    _large_reads: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LARGE_READS))

    def retention(self, topic: TopicName) -> Retention:
        """What the topic keeps: for whoever appends by a script of its own."""
        return self.retentions.of(topic)

    async def append(
        self,
        entries: Sequence[tuple[TopicName, str]],
        *,
        also: Sequence[Sequence[str]] = (),
        as_one: bool = False,
    ) -> list[EventId | RedisError]:
        """Store events in one round trip; for each its id, or why it was not stored.

        One billed command an event, one more where the topic's TTL is due for a refresh.
        `also` are further commands of the same round trip, whose results nobody needs.
        `as_one` lets nobody see some of the events without the others.
        """
        due = [topic for topic in dict.fromkeys(topic for topic, _ in entries) if self._due(topic)]
        commands: list[Sequence[str | int]] = [self._xadd(topic, text) for topic, text in entries]
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

        However often this is repeated. The fingerprint returned is that of the first time.
        """
        topics = [topic for topic, _ in entries]
        args: list[str | int] = [self.retentions.usual.idempotency_ttl_s, fingerprint]
        for topic, text in entries:
            keep = self.retention(topic)
            args += [text, keep.max_events, keep.ttl_s]
        keys = [f"millrace:once:{key}", *map(log_key, topics)]
        result = await self.client.script(APPEND_ONCE, keys=keys, args=args, repeatable=True)
        self._note_refreshed(topics)
        return Stored.of(result)

    async def append_groups(self, groups: Sequence[Group], *, mark_ttl_s: int) -> list[bool]:
        """Store each group of events unless its key has stored it within `mark_ttl_s`.

        For each whether it was stored now.
        """
        return await append_groups(self.client, self.retentions, groups, mark_ttl_s=mark_ttl_s)

    async def heads(
        self, topics: Collection[TopicName], *, charge: Charge = free
    ) -> dict[TopicName, EventId]:
        """Where "now" is on each topic. One command, and two for each topic never used.

        The number of these is told to `charge` before they are written; it may raise instead.
        """
        heads = await self.last(topics)
        if missing := [topic for topic in topics if topic not in heads]:
            charge(len(missing))
            heads |= await self.begin(missing)
        return heads

    async def last(self, topics: Collection[TopicName]) -> dict[TopicName, EventId]:
        """The newest entry of each topic that has one."""
        found = await self._last_entries(topics) if topics else {}
        return {topic: entries[-1][0] for topic, entries in found.items()}

    async def begin(self, topics: Collection[TopicName]) -> dict[TopicName, EventId]:
        """Write a genesis entry for each topic; a second one by a racing process does no harm."""
        begun: dict[TopicName, EventId] = {}
        for some in _batches(topics, WRITES_AT_ONCE):
            begun |= await self._begin(some)
        return begun

    async def read_after(
        self,
        positions: Mapping[TopicName, EventId],
        *,
        limit: int,
        anchored: Collection[TopicName] | None = None,
    ) -> dict[TopicName, LogPage]:
        """A page for each topic that has news, with one command for all of them.

        Topics in `anchored` (by default all) are read inclusively. The others cost no bytes
        while they are silent; when they speak, one more command proves that nothing is gone.
        Reads less at once where Upstash finds the reply too large.
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

    async def _pages(
        self, positions: Mapping[TopicName, EventId], sure: Collection[TopicName], limit: int
    ) -> dict[TopicName, LogPage]:
        starts = {t: at.previous() if t in sure else at for t, at in positions.items()}
        async with self._large_reads:
            entries = await self._entries_after(starts, limit + 1)
        unsure = {t: positions[t].previous() for t in entries if t not in sure}
        proof = await self._entries_after(unsure, 1) if unsure else {}
        pages = {}
        for topic, start in positions.items():
            mine = entries.get(topic, [])
            more = len(mine) > limit
            if topic in sure:
                pages[topic] = _page(topic, start, mine[:1], mine[1:], more=more)
            elif mine:
                pages[topic] = _page(topic, start, proof.get(topic, []), mine, more=more)
        return pages

    async def restart(
        self, gaps: Mapping[TopicName, LogPage], *, charge: Charge = free
    ) -> dict[TopicName, tuple[EventId, ResetReason]]:
        """Where to go on after each real gap, which is "now", and why. Charges as `heads`.

        A replica that lags does not hold a position that another process got from a fresher
        one. That looks like a position from the future, so such are read once more, later.
        """
        heads = await self.heads(gaps.keys(), charge=charge)
        suspects = {t: gaps[t].start for t, head in heads.items() if head < gaps[t].start}
        if suspects:
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
        """The newest events of each, oldest first; one command each.

        Below `before` and above `after` on the topics that these name. `end` is the newest
        entry there, `more` says that there may be older events. A topic without any entry there
        has no page. All together hold `max_bytes`, or `TOPIC_BYTES` each if that is more: a
        topic with larger events has fewer of them, at least one.
        """
        spans = {topic: Span.between(topic, before or {}, after or {}) for topic in topics}
        wanted = {topic: span for topic, span in spans.items() if not span.is_empty}
        most = max(TOPIC_BYTES, (max_bytes or maxsize) // max(1, len(topics)))
        # One for the genesis entry, one to see whether there are older ones.
        count = min(limit + 2, max(3, FIRST_ENTRIES // max(1, len(topics))))
        commands = [xrevrange(topic, span, count) for topic, span in wanted.items()]
        try:
            async with self._large_reads:
                replies = await self._all_or_error(commands) if commands else []
                entries = [entries_of(reply) for reply in replies]
            found = dict(zip(wanted, entries, strict=True))
        except TooLarge:
            found = {t: await self._older(t, span, count) for t, span in wanted.items()}
            count = 0
        pages = {
            topic: await self._past(
                topic, found.pop(topic), wanted[topic], limit, most, is_all=count
            )
            for topic in tuple(found)
        }
        return {topic: page for topic, page in pages.items() if page is not None}

    async def _past(
        self,
        topic: TopicName,
        entries: list[Entry],
        span: Span,
        limit: int,
        most: int,
        *,
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
            # As many of their size as fit, and no more at once than are held already.
            fitting = (most - size) * len(events) // max(1, size) + 1
            count = min(limit + 2, max(FIRST_ENTRIES // 4, fitting))
            below = await self._older(topic, span.below(lowest), count)
            at_end = not below
            if below:
                lowest = below[-1][0]
                events += events_of(topic, below)
        kept = within(events[:limit], most)
        more = len(events) > len(kept) or not at_end
        return LogPage(end, end, kept[::-1], more=more)

    async def _older(self, topic: TopicName, span: Span, count: int) -> list[Entry]:
        """Some of the entries in `span`, newest first; none only when there are none."""
        if span.is_empty:
            return []
        try:
            async with self._large_reads:
                return entries_of(await self.client.read(*xrevrange(topic, span, count)))
        except TooLarge:
            if count == 1:
                raise
        return await self._older(topic, span, count // 2)

    def _xadd(self, topic: TopicName, text: str) -> list[str | int]:
        keep = self.retention(topic).max_events
        return ["XADD", log_key(topic), "MAXLEN", "~", keep, "*", EVENT_FIELD, text]

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

    async def _last_entries(self, topics: Collection[TopicName]) -> dict[TopicName, list[Entry]]:
        if self._knows_plus:
            try:
                return await self._xread(topics, ["+"] * len(topics), 1)
            except Refused as error:
                if error.kind != "ERR":
                    raise
                self._knows_plus = False  # `XREAD +` came with Redis 7.4
        replies = await self._all_or_error([xrevrange(topic, Span(), 1) for topic in topics])
        entries = {topic: entries_of(reply) for topic, reply in zip(topics, replies, strict=True)}
        return {topic: some for topic, some in entries.items() if some}

    async def _all_or_error(self, commands: Sequence[Sequence[str | int]]) -> list[Any]:
        """The replies to reading commands, in one round trip."""
        if len(commands) == 1:
            return [await self.client.read(*commands[0])]
        replies = await self.client.pipeline(commands, repeatable=True)
        for failed in (one for one in replies if isinstance(one, RedisError)):
            raise failed
        return replies

    async def _entries_after(
        self, starts: Mapping[TopicName, EventId], count: int
    ) -> dict[TopicName, list[Entry]]:
        return await self._xread(starts.keys(), [str(at) for at in starts.values()], count)

    async def _xread(
        self, topics: Collection[TopicName], after: Sequence[str], count: int
    ) -> dict[TopicName, list[Entry]]:
        keys = [log_key(topic) for topic in topics]
        reply = await self.client.read("XREAD", "COUNT", count, "STREAMS", *keys, *after)
        return {topic_of_key(key): entries_of(entries) for key, entries in reply or ()}


def _batches(items: Iterable[TopicName], size: int) -> Iterable[Sequence[TopicName]]:
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some


def _page(
    topic: TopicName, start: EventId, anchor: Sequence[Entry], news: Sequence[Entry], *, more: bool
) -> LogPage:
    if not anchor or anchor[0][0] != start:
        reason = ResetReason.TRIMMED if anchor else ResetReason.EXPIRED
        return LogPage(start, start, gap=reason)
    end = news[-1][0] if news else start
    return LogPage(start, end, events_of(topic, news), more=more)
