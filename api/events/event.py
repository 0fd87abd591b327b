"""Events and their ids."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Self

import msgspec

from api.events.topic import TopicName
from api.problems import InvalidEventId

MAX_PART: Final = 2**64 - 1  # both parts of an id are unsigned 64-bit numbers in Redis
_ID = re.compile(r"(\d{1,20})-(\d{1,20})", re.ASCII)
EVENT_TYPE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}", re.ASCII)
"""The grammar of event types: a letter, then up to 63 letters, digits or `_.-`."""
# Our control events, and the two events that an `EventSource` fires by itself. A published event
# of such a name would call every reader's `onopen` or `onerror` as if its connection had changed.
RESERVED_TYPES: Final = frozenset({"connected", "reset", "bye", "open", "error"})


@dataclass(frozen=True, slots=True, order=True)
class EventId:
    """The id of an event, and so its position in the log of its topic.

    `ms` is milliseconds since 1970, and `seq` counts the events of one millisecond. Ids are
    ordered.
    """

    ms: int
    seq: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the id in a text such as "1763650000000-0".

        Raises `InvalidEventId` for any other text.
        """
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
        """Return the greatest id below this one, so that reading after it includes this one.

        The lowest id of all, `0-0`, returns itself.
        """
        if self.seq:
            return EventId(self.ms, self.seq - 1)
        if self.ms:
            return EventId(self.ms - 1, MAX_PART)
        return self

    def next(self) -> "EventId":
        """Return the smallest id above this one."""
        return EventId(self.ms, self.seq + 1) if self.seq < MAX_PART else EventId(self.ms + 1, 0)

    @property
    def time(self) -> str:
        """The time when Redis stored the event, in RFC 3339 with milliseconds and in UTC."""
        try:
            moment = datetime.fromtimestamp(self.ms / 1000, UTC)
        except (OverflowError, ValueError):  # a log may be closed by an entry with the largest id
            return "9999-12-31T23:59:59.999Z"
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{self.ms % 1000:03d}Z"


class StoredEvent(msgspec.Struct):
    """The JSON that an entry of a log holds: the type of an event and its data."""

    type: str
    data: msgspec.Raw = msgspec.Raw(b"null")


@dataclass(frozen=True, slots=True)
class Event:
    """An event that was read from a log.

    `data` is its data as JSON, and `body` the whole event as JSON in the form that clients get.
    Both have no line breaks and are encoded once, however many readers there are.
    """

    id: EventId
    topic: TopicName
    type: str
    data: bytes
    body: bytes = field(repr=False, compare=False)

    @classmethod
    def of(cls, event_id: EventId, topic: TopicName, stored: str) -> Self:
        """Return the event in the text of a log entry.

        Raises `msgspec.DecodeError` if the text is not in the form in which we store events.
        """
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
