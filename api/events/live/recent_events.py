"""The newest events of one watched topic, in memory, so that most reconnects cost no command.

Up to 256 events and 256 KB. The hub has one such memory for each watched topic.
"""

from bisect import bisect_right
from collections.abc import Sequence

from api.events.event import Event, EventId

MAX_EVENTS = 256  # of one topic in memory
MAX_BYTES = 262_144  # of these events as JSON


class RecentEvents:
    """The newest events of one topic that this process has read.

    `position` is this process's position in the topic's log; None until it is known. `readers`
    counts those who watch the topic. `last_news_at` is when events last came, in monotonic seconds.
    `_base` is the position before the oldest event in memory.
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
        """Set the position, and forget all events."""
        self.position = self._base = position
        self._events = []
        self._bytes = 0

    def extend(self, events: Sequence[Event], *, end: EventId, now: float) -> None:
        """Add the events that follow `position`, and set `position` to `end`.

        `now` is the time in monotonic seconds. The oldest events are dropped beyond the limits.
        """
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
        """Return the events after `at`, oldest first; None if some may be missing in memory.

        They are complete only if `at` is `position`, `_base` or the id of an event here: otherwise
        there may have been other events between `at` and the next event here.
        """
        if at == self.position:
            return ()
        if at == self._base:
            return tuple(self._events)
        index = bisect_right(self._events, at, key=lambda event: event.id)
        if index and self._events[index - 1].id == at:
            return tuple(self._events[index:])
        return None
