"""The time, which tests can shift, and serials that put everything in one order."""

from __future__ import annotations

import time
from collections.abc import Callable

_MAX_SEQUENCE = 999


class Clock:
    """Milliseconds since 1970, plus `offset_ms`."""

    def __init__(self, read_s: Callable[[], float] = time.time) -> None:
        self._read_s = read_s
        self._last_ms = 0
        self._sequence = 0
        self.offset_ms = 0

    def now_ms(self) -> int:
        return int(self._read_s() * 1000) + self.offset_ms

    def stamp(self) -> str:
        """A serial that is greater, as text, than all before it, even when the time is set back."""
        now_ms = self.now_ms()
        if now_ms > self._last_ms:
            self._last_ms, self._sequence = now_ms, 0
        elif self._sequence < _MAX_SEQUENCE:
            self._sequence += 1
        else:
            self._last_ms, self._sequence = self._last_ms + 1, 0
        return f"{self._last_ms:014d}-{self._sequence:03d}@local"
