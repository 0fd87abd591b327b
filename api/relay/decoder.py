"""Reads an upstream's bytes as Server-Sent Events, within bounds.

It follows WHATWG HTML, section 9.2. Libraries for this keep a line and an event until they end,
however long these grow; an upstream that never ends one would take all memory.
"""

import re
from dataclasses import dataclass

LINE_END = re.compile(rb"\r\n|\r|\n")
BOM = b"\xef\xbb\xbf"
MAX_ID_BYTES = 1024
MAX_TYPE_BYTES = 1024
MAX_SKIPPED = 16
DIGITS = re.compile(r"\d{1,9}", re.ASCII)


def fits_header(upstream_id: str) -> bool:
    """Whether the id can be sent back as `Last-Event-ID`.

    Control characters, and spaces at either end, are no part of a header's value (RFC 9110,
    section 5.5). They may be part of an id, but not of one that a reconnect can name.
    """
    is_short = len(upstream_id.encode()) <= MAX_ID_BYTES
    return is_short and upstream_id.isprintable() and upstream_id == upstream_id.strip()


class TooLongError(Exception):
    """A line has not ended for so long that there is no sense in waiting."""


@dataclass(frozen=True, slots=True)
class UpstreamEvent:
    """`data` is None for an event that is too large; `own_id` only for one that named its id."""

    type: str
    data: str | None
    own_id: str | None


class Decoder:
    """Takes bytes that are split anywhere. Holds at most `max_bytes` of a line, and of an event.

    `last_id` is what a reconnect has to send, `retry_ms` what the upstream asked for.
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
        """Whether an end of the stream now would cut an event."""
        return bool(self._line or self._skipped or self._has_fields)

    def feed(self, chunk: bytes) -> list[UpstreamEvent]:
        """The events that are complete with `chunk`. Raises `TooLongError`."""
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
        if name:  # else a comment
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
            # An id that a reconnect cannot send does not say where to go on.
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
