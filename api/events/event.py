"""One thing that happened: its id, its type and its data."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Self

import msgspec

from api.events.topic import TopicName
from api.problems import InvalidEventId

MAX_PART: Final = 2**64 - 1
_ID = re.compile(r"(\d{1,20})-(\d{1,20})", re.ASCII)
EVENT_TYPE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}", re.ASCII)
"""What an event's type may look like."""
# Our control events, and the two events that an `EventSource` fires by itself. A published event
# of such a name would call every reader's `onopen` or `onerror` as if its connection had changed.
RESERVED_TYPES: Final = frozenset({"connected", "reset", "bye", "open", "error"})


@dataclass(frozen=True, slots=True, order=True)
class EventId:
    """Position of one event in one topic's log: milliseconds since 1970, then a counter."""

    ms: int
    seq: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "1763650000000-0". Raises `InvalidEventId` for anything else."""
        match = _ID.fullmatch(text)
        if not match:
            raise InvalidEventId
        ms, seq = int(match[1]), int(match[2])
        if ms > MAX_PART or seq > MAX_PART:
            raise InvalidEventId
        return cls(ms, seq)

    def __str__(self) -> str:
        return f"{self.ms}-{self.seq}"

    def previous(self) -> "EventId":
        """The greatest id below this one: reading after it includes this one."""
        if self.seq:
            return EventId(self.ms, self.seq - 1)
        if self.ms:
            return EventId(self.ms - 1, MAX_PART)
        return self

    def next(self) -> "EventId":
        """The smallest id above this one."""
        return EventId(self.ms, self.seq + 1) if self.seq < MAX_PART else EventId(self.ms + 1, 0)

    @property
    def time(self) -> str:
        """When Redis stored it, as RFC 3339 with milliseconds."""
        try:
            moment = datetime.fromtimestamp(self.ms / 1000, UTC)
        except (OverflowError, ValueError):  # a log may be closed by an entry with the largest id
            return "9999-12-31T23:59:59.999Z"
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{self.ms % 1000:03d}Z"


class StoredEvent(msgspec.Struct):
    """What the field of a log entry holds, as JSON text."""

    type: str
    data: msgspec.Raw = msgspec.Raw(b"null")


@dataclass(frozen=True, slots=True)
class Event:
    """An event as read from a log.

    `data` is its JSON, `body` the JSON of the whole event as clients get it. Both are on one line
    and are made once, however many readers there are.
    """

    id: EventId
    topic: TopicName
    type: str
    data: bytes
    body: bytes = field(repr=False, compare=False)

    @classmethod
    def of(cls, event_id: EventId, topic: TopicName, stored: str) -> Self:
        """The event in a log entry's text. Raises `msgspec.DecodeError` if we did not write it."""
        entry = msgspec.json.decode(stored, type=StoredEvent)
        if not EVENT_TYPE.fullmatch(entry.type):  # a line break in it would end an SSE line
            raise msgspec.ValidationError("type")
        # A line break between JSON tokens is legal and would end an SSE line.
        data = bytes(entry.data).replace(b"\n", b" ").replace(b"\r", b" ")
        body = b'{"id":"%s","topic":"%s","type":%s,"time":"%s","data":%s}' % (
            str(event_id).encode(),
            topic.encode(),
            msgspec.json.encode(entry.type),
            event_id.time.encode(),
            data,
        )
        return cls(event_id, topic, entry.type, data, body)
