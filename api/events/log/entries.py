"""The entries of logs as Redis holds them: how they are written and read, and what replies say.

A log is a Redis stream. Its entries are events, each in one field as JSON text, and at most a
few genesis entries, which only mark a place in a log without events.
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
"""The field of an entry that holds the event. Scripts of features write it too."""
LARGE_READS = 4

log = structlog.get_logger()
Entry = tuple[EventId, dict[str, str]]
"""An entry's id, which is the event's, and its fields."""


@dataclass(frozen=True, slots=True)
class Span:
    """The part of a log below `before` and above `after`, both excluded; None is no bound."""

    before: EventId | None = None
    after: EventId | None = None

    @classmethod
    def between(
        cls,
        topic: TopicName,
        before: Mapping[TopicName, EventId],
        after: Mapping[TopicName, EventId],
    ) -> Self:
        """The span of `topic`, whose bounds stand in these maps if it has any."""
        return cls(before.get(topic), after.get(topic))

    def below(self, bound: EventId) -> "Span":
        """The part of this span that is below `bound`."""
        return Span(bound, self.after)

    @property
    def is_empty(self) -> bool:
        """Whether nothing can be there; Redis refuses to look below its first id."""
        lowest = self.after.next() if self.after else EventId(0, 0)
        return self.before is not None and self.before <= lowest

    @property
    def bounds(self) -> tuple[str, str]:
        """The upper and the lower bound, as XREVRANGE takes them."""
        top = "+" if self.before is None else f"({self.before}"
        return top, "-" if self.after is None else f"({self.after}"


def xadd(key: str, name: str, value: str, *, keep: int) -> tuple[str, str, *tuple[str | int, ...]]:
    """The command that adds an entry of one field to a stream and keeps `keep` entries or more.

    Redis removes whole blocks of old entries (`~`), which is much cheaper than an exact number.
    """
    return "XADD", key, "MAXLEN", "~", keep, "*", name, value


def xrevrange(topic: TopicName, span: Span, count: int) -> list[str | int]:
    """The command for the newest `count` entries in `span`, newest first."""
    return ["XREVRANGE", log_key(topic), *span.bounds, "COUNT", count]


def entries_of(reply: Iterable[tuple[str, Sequence[str]]] | None) -> list[Entry]:
    """The entries of one stream in a reply of Redis; none if the reply is None."""
    return [
        (EventId.parse(entry_id), dict(zip(flat[::2], flat[1::2], strict=True)))
        for entry_id, flat in reply or ()
    ]


def events_of(topic: TopicName, entries: Iterable[Entry]) -> list[Event]:
    """The events among the entries. Leaves out genesis entries and what is not ours."""
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
    """Reads entries of many logs in one round trip. Every method raises `RedisError`.

    A reply is as large as its events, so a process waits for at most `LARGE_READS` large
    replies at a time, whoever asks for them.
    """

    def __init__(self, client: UpstashClient) -> None:
        self._client = client
        self._large_reads = asyncio.Semaphore(LARGE_READS)
        self._knows_plus = True

    async def last(self, topics: Collection[TopicName]) -> dict[TopicName, EventId]:
        """The id of the newest entry of each topic; a topic without entries is left out."""
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
        """The first `count` entries after each position; topics without any are left out."""
        async with self._large_reads:
            return await self._xread(positions, [str(at) for at in positions.values()], count)

    async def newest(
        self, spans: Mapping[TopicName, Span], count: int
    ) -> dict[TopicName, list[Entry]]:
        """The newest `count` entries in each span, newest first."""
        if not spans:
            return {}
        async with self._large_reads:
            replies = await self._replies([xrevrange(t, span, count) for t, span in spans.items()])
            return dict(zip(spans, map(entries_of, replies), strict=True))

    async def newest_of(self, topic: TopicName, span: Span, count: int) -> list[Entry]:
        """Some of the newest entries in `span`, newest first; none only if there are none.

        Asks for half as many as often as Upstash finds the reply too large.
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
