"""A parser of Server-Sent Events by the WHATWG standard."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Frame:
    """One event. `id` is the last event id at that time."""

    event: str
    data: str
    id: str


class SseParser:
    """Takes bytes that are split anywhere. An event is complete with its blank line."""

    def __init__(self, last_event_id: str = "") -> None:
        self.last_event_id = last_event_id
        self.retry_ms: int | None = None
        self.comments = 0
        self._line = b""
        self._event = ""
        self._data: list[str] = []
        self._id = last_event_id

    def feed(self, chunk: bytes) -> list[Frame]:
        frames: list[Frame] = []
        *lines, self._line = (self._line + chunk).split(b"\n")
        for line in lines:
            assert b"\r" not in line
            frame = self._take(line.decode())
            if frame:
                frames.append(frame)
        return frames

    def _take(self, line: str) -> Frame | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "":
                self.comments += 1
            case "event":
                self._event = value
            case "data":
                self._data.append(value)
            case "id":
                self._id = value
            case "retry":
                self.retry_ms = int(value)
        return None

    def _dispatch(self) -> Frame | None:
        self.last_event_id = self._id
        event, data = self._event, self._data
        self._event, self._data = "", []
        if not data:
            return None
        return Frame(event or "message", "\n".join(data), self.last_event_id)
