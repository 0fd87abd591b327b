"""The entries of logs in Redis: how they are written, read and decoded.

A log is a Redis stream. An entry is either an event, which is one field with JSON text, or a
genesis entry, which only marks a position in a log without events.
"""

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import msgspec
import structlog

from api.events.event import Event, EventId
from api.events.topic import TopicName, log_key, topic_of_key
from api.upstash import RedisError, Refused, TooLarge, UpstashClient

EVENT_FIELD = "e"
"""The field of an entry that holds the event. Lua scripts of features write it too."""
LARGE_READS = 4  # that one client of Redis makes at the same time

log = structlog.get_logger()
Entry = tuple[EventId, dict[str, str]]
"""One entry of a log: its id, which is the id of the event, and its fields."""


@dataclass(frozen=True, slots=True)
class Span:
    """The part of a log above `after` and below `before`, without these two; None is no bound."""

    before: EventId | None = None
    after: EventId | None = None

    @classmethod
    def between(
        cls,
        topic: TopicName,
        before: Mapping[TopicName, EventId],
        after: Mapping[TopicName, EventId],
    ) -> Self:
        """Return the span of `topic`, whose bounds are in these maps.

        A topic that is not in a map has no such bound.
        """
        return cls(before.get(topic), after.get(topic))

    def below(self, bound: EventId) -> "Span":
        """Return the part of this span that is below `bound`.

        The caller knows that `bound` is inside.
        """
        return Span(bound, self.after)

    @property
    def is_empty(self) -> bool:
        """Whether no entry can be in it.

        Redis must not be asked then: it refuses some empty ranges.
        """
        lowest = self.after.next() if self.after else EventId(0, 0)
        return self.before is not None and self.before <= lowest

    @property
    def bounds(self) -> tuple[str, str]:
        """The upper and the lower bound, in this order, as XREVRANGE takes them."""
        top = "+" if self.before is None else f"({self.before}"
        return top, "-" if self.after is None else f"({self.after}"


def xadd(key: str, name: str, value: str, *, keep: int) -> tuple[str, str, *tuple[str | int, ...]]:
    """Return the command that appends an entry with one field and keeps at least `keep` entries.

    Redis removes old entries in whole blocks (`~`), which is much cheaper than an exact number.
    """
    return "XADD", key, "MAXLEN", "~", keep, "*", name, value


def xrevrange(topic: TopicName, span: Span, count: int) -> list[str | int]:
    """Return the command that reads the newest `count` entries in `span`, newest first."""
    return ["XREVRANGE", log_key(topic), *span.bounds, "COUNT", count]


def entries_of(reply: Iterable[tuple[str, Sequence[str]]] | None) -> list[Entry]:
    """Return the entries in a reply of Redis for one stream, in the same order.

    A reply of None, which Redis gives for no entries, is an empty list.
    """
    return [
        (EventId.parse(entry_id), dict(zip(flat[::2], flat[1::2], strict=True)))
        for entry_id, flat in reply or ()
    ]


def events_of(topic: TopicName, entries: Iterable[Entry]) -> list[Event]:
    """Return the events among the entries, in the same order.

    Genesis entries are left out, and so are entries that we did not write, which are logged.
    """
    events = []
    for event_id, fields in entries:
        if EVENT_FIELD not in fields:
            continue
        try:
            events.append(Event.of(event_id, topic, fields[EVENT_FIELD]))
        except (msgspec.DecodeError, RecursionError):
            log.warning("log.foreign_entry", event_id=str(event_id))
    return events


class EntryReader:
    """Reads entries of many logs in one request. Every method raises `RedisError`.

    A reply is as large as its events. A process therefore waits for at most `LARGE_READS` large
    replies at a time, for all readers together.
    """

    def __init__(self, client: UpstashClient) -> None:
        self._client = client
        self._large_reads = asyncio.Semaphore(LARGE_READS)
        self._knows_plus = True

    async def last(self, topics: Collection[TopicName]) -> dict[TopicName, EventId]:
        """Return the id of the newest entry of each topic. Topics without entries are left out.

        Costs one command in all, or one for each topic on a Redis older than 7.4.
        """
        if not topics:
            return {}
        if self._knows_plus:
            try:
                found = await self._xread(topics, ["+"] * len(topics), 1)
            except Refused as error:
                if error.kind != "ERR":
                    raise
                self._knows_plus = False  # `XREAD +` came with Redis 7.4
            else:
                return {topic: entries[-1][0] for topic, entries in found.items()}
        replies = await self._replies([xrevrange(topic, Span(), 1) for topic in topics])
        newest = zip(topics, map(entries_of, replies), strict=True)
        return {topic: entries[-1][0] for topic, entries in newest if entries}

    async def after(
        self, positions: Mapping[TopicName, EventId], count: int
    ) -> dict[TopicName, list[Entry]]:
        """Return the first `count` entries after each position, oldest first.

        Topics without such entries are left out. Costs one command.
        """
        async with self._large_reads:
            return await self._xread(positions, [str(at) for at in positions.values()], count)

    async def newest(
        self, spans: Mapping[TopicName, Span], count: int
    ) -> dict[TopicName, list[Entry]]:
        """Return the newest `count` entries in each span, newest first; maybe an empty list.

        Costs one command for each span. No span may be empty (`Span.is_empty`).
        """
        if not spans:
            return {}
        async with self._large_reads:
            replies = await self._replies([xrevrange(t, span, count) for t, span in spans.items()])
            return dict(zip(spans, map(entries_of, replies), strict=True))

    async def newest_of(self, topic: TopicName, span: Span, count: int) -> list[Entry]:
        """Return at most `count` of the newest entries in `span`, newest first.

        The list is empty only if the span has no entries. While Upstash finds the reply too large,
        half as many are asked for; raises `TooLarge` if one entry alone is too large.
        """
        if span.is_empty:
            return []
        try:
            return (await self.newest({topic: span}, count))[topic]
        except TooLarge:
            if count == 1:
                raise
        return await self.newest_of(topic, span, count // 2)

    async def _replies(self, commands: Sequence[Sequence[str | int]]) -> list[Any]:
        if len(commands) == 1:
            return [await self._client.read(*commands[0])]
        replies = await self._client.pipeline(commands, repeatable=True)
        for failed in (one for one in replies if isinstance(one, RedisError)):
            raise failed
        return replies

    async def _xread(
        self, topics: Collection[TopicName], after: Sequence[str], count: int
    ) -> dict[TopicName, list[Entry]]:
        keys = [log_key(topic) for topic in topics]
        reply = await self._client.read("XREAD", "COUNT", count, "STREAMS", *keys, *after)
        return {topic_of_key(key): entries_of(entries) for key, entries in reply or ()}
