"""The newest events of one watched topic, in memory: a reconnect seldom costs a command."""

from bisect import bisect_right
from collections.abc import Sequence

from api.events.event import Event, EventId

MAX_EVENTS = 256
MAX_BYTES = 262_144


class RecentEvents:
    """What this process has seen of a topic. `position` is where it stands in the log.

    `readers` counts who wants the topic; `last_news_at` is when it last had news.
    """

    __slots__ = ("_base", "_bytes", "_events", "last_news_at", "position", "readers")

    def __init__(self) -> None:
        self.readers = 0
        self.last_news_at = float("-inf")
        self.position: EventId | None = None
        self._base: EventId | None = None
        self._events: list[Event] = []
        self._bytes = 0

    def restart(self, position: EventId) -> None:
        """Stand on `position` and know nothing of what was before."""
        self.position = self._base = position
        self._events = []
        self._bytes = 0

    def extend(self, events: Sequence[Event], *, end: EventId, now: float) -> None:
        """Take in what follows the position, up to `end`."""
        self._events += events
        self._bytes += sum(len(event.body) for event in events)
        self.position = end
        self.last_news_at = now
        excess = max(0, len(self._events) - MAX_EVENTS)
        size = self._bytes - sum(len(event.body) for event in self._events[:excess])
        while size > MAX_BYTES:
            size -= len(self._events[excess].body)
            excess += 1
        if excess:
            self._base = self._events[excess - 1].id
            del self._events[:excess]
            self._bytes = size

    def after(self, at: EventId) -> Sequence[Event] | None:
        """What follows `at`, oldest first; None where memory cannot prove it complete."""
        if at == self.position:
            return ()
        if at == self._base:
            return tuple(self._events)
        index = bisect_right(self._events, at, key=lambda event: event.id)
        if index and self._events[index - 1].id == at:
            return tuple(self._events[index:])
        return None
