"""Decodes an upstream's bytes as Server-Sent Events, with bounds on memory.

It follows WHATWG HTML, section 9.2. Libraries for this keep a line and an event until they end, so
an upstream that never ends one would take all memory.
"""

import re
from dataclasses import dataclass

LINE_END = re.compile(rb"\r\n|\r|\n")
BOM = b"\xef\xbb\xbf"
MAX_ID_BYTES = 1024
MAX_TYPE_BYTES = 1024
MAX_SKIPPED = 16  # times the maximum bytes of a line
DIGITS = re.compile(r"\d{1,9}", re.ASCII)


def fits_header(upstream_id: str) -> bool:
    """Return whether the id can be sent back as `Last-Event-ID`: short, and valid in a header.

    Control characters, and spaces at either end, are no part of a header's value (RFC 9110, section
    5.5). They may be part of an id, but such an id cannot be named in a reconnect.
    """
    is_short = len(upstream_id.encode()) <= MAX_ID_BYTES
    return is_short and upstream_id.isprintable() and upstream_id == upstream_id.strip()


class TooLongError(Exception):
    """Raised when a line does not end within `MAX_SKIPPED` times `max_bytes`: stop reading."""


@dataclass(frozen=True, slots=True)
class UpstreamEvent:
    """An event of an upstream. `data` is None if it was too large.

    `own_id` is the id that this event named itself, None if it named none.
    """

    type: str
    data: str | None
    own_id: str | None


class Decoder:
    """Decodes bytes that are split anywhere. Holds at most `max_bytes` of a line, and of an event.

    `last_id` is what a reconnect has to send, "" for nothing. `retry_ms` is the pause before a
    reconnect that the upstream asked for, None if it asked for none.
    """

    def __init__(self, max_bytes: int, last_id: str = "") -> None:
        self.last_id = last_id
        self.retry_ms: int | None = None
        self._max_bytes = max_bytes
        self._line = bytearray()
        self._skipped = 0
        self._is_first_line = True
        self._ended_by_cr = False
        self._begin()

    def _begin(self) -> None:
        self._type = ""
        self._data: list[str] = []
        self._size = 0
        self._own_id: str | None = None
        self._is_too_large = False
        self._has_fields = False

    @property
    def is_mid_event(self) -> bool:
        """Whether the bytes so far end within an event, so that the end of the stream cuts it."""
        return bool(self._line or self._skipped or self._has_fields)

    def feed(self, chunk: bytes) -> list[UpstreamEvent]:
        """Take the next bytes, and return the events that they complete. Raises `TooLongError`."""
        if self._ended_by_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        self._ended_by_cr = chunk.endswith(b"\r") if chunk else self._ended_by_cr
        *ends, rest = LINE_END.split(chunk)
        events = []
        for part in ends:
            self._extend(part)
            event = self._end_line()
            if event:
                events.append(event)
        self._extend(rest)
        return events

    def _extend(self, part: bytes) -> None:
        if not self._skipped and len(self._line) + len(part) <= self._max_bytes:
            self._line += part
            return
        self._skipped += len(self._line) + len(part)
        self._line.clear()
        if self._skipped > MAX_SKIPPED * self._max_bytes:
            raise TooLongError

    def _end_line(self) -> UpstreamEvent | None:
        line, is_whole = bytes(self._line), not self._skipped
        self._line.clear()
        self._skipped = 0
        if self._is_first_line:
            self._is_first_line = False
            line = line.removeprefix(BOM)
        if not is_whole:
            self._has_fields = self._is_too_large = True
            return None
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        if name:  # otherwise it is a comment
            self._take(name, value.removeprefix(b" ").decode(errors="replace"), len(value))
        return None

    def _take(self, name: bytes, value: str, size: int) -> None:
        self._has_fields = True
        match name:
            case b"data":
                self._size += size + 1
                if self._size > self._max_bytes:
                    self._is_too_large = True
                    self._data.clear()
                if not self._is_too_large:
                    self._data.append(value)
            case b"event" if size <= MAX_TYPE_BYTES:
                self._type = value
            # An id that a reconnect cannot send is ignored: it could not say where to go on.
            case b"id" if size <= MAX_ID_BYTES and fits_header(value):
                self._own_id = value
            case b"retry" if DIGITS.fullmatch(value):
                self.retry_ms = int(value)

    def _dispatch(self) -> UpstreamEvent | None:
        if self._own_id is not None:
            self.last_id = self._own_id
        event = None
        if self._is_too_large:
            event = UpstreamEvent("", None, self._own_id)
        elif self._data:
            event = UpstreamEvent(self._type or "message", "\n".join(self._data), self._own_id)
        self._begin()
        return event
