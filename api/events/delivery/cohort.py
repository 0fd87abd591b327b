"""Cohorts: the connections that get the same bytes, because their selections are equal.

The hub gives a cohort what the poller has read. Members that are level, which means that they were
sent everything so far, have the same cursor. A frame is therefore encoded once for all of them.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from api.events.cursor import CursorWriter
from api.events.delivery import sse
from api.events.delivery.backlog import Backlog
from api.events.delivery.connection import Connection, body_message
from api.events.event import Event, EventId
from api.events.read_request import Selection
from api.events.reasons import CloseReason, ResetReason
from api.events.topic import TopicName

SENDS_AT_ONCE = 256  # before other tasks may run


class Cohort:
    """The connections with one selection, and the backlog of those that lag.

    `positions` are those of the first member when it is added. `lag_max_bytes` limits the backlog:
    a member that needs more is ended with OVERFLOW.
    """

    def __init__(
        self, selection: Selection, positions: Mapping[TopicName, EventId], *, lag_max_bytes: int
    ) -> None:
        self.selection = selection
        self.members: set[Connection] = set()
        self.backlog = Backlog(lag_max_bytes)
        self._lagging: set[Connection] = set()
        self._writer = CursorWriter(positions)
        self._unsent: int | None = None  # the first chunk that `fan_out` has not handed out

    def cursor(self) -> bytes:
        """Return the cursor after everything that was encoded so far."""
        return self._writer.text()

    def add(self, connection: Connection) -> None:
        """Make a connection a member. It must stand at the positions of the cohort."""
        connection.feed = self
        connection.seq = self.backlog.next
        self.members.add(connection)
        if not connection.is_idle:  # a keep-alive from before is still under way
            self.fell_behind(connection)

    def remove(self, connection: Connection) -> None:
        """Remove a member. Does nothing if the connection is not a member."""
        self.members.discard(connection)
        self.caught_up(connection)

    def fell_behind(self, connection: Connection) -> None:
        """Keep the chunks from now on in the backlog for a member whose last send has to wait."""
        self._lagging.add(connection)

    def caught_up(self, connection: Connection) -> None:
        """Stop keeping chunks for this member. Does nothing if it was not lagging."""
        self._lagging.discard(connection)
        self._release()

    def take_in(self, events: Sequence[Event], ends: Mapping[TopicName, EventId]) -> int:
        """Encode new events and append them to the backlog. Nothing is sent before `fan_out`.

        `events` are in the order of their ids. `ends` are the positions of their topics after them,
        to which the cursor moves. Returns how many of the events the selection shows.
        """
        frames = sse.event_frames(self.selection, events, self._writer)
        for topic, end in ends.items():
            self._writer.move(topic, end)
        self._queue(frames)
        return len(frames)

    def take_reset(self, topic: TopicName, head: EventId, reason: ResetReason) -> None:
        """Encode a `reset`: events of `topic` were lost, and it goes on after `head`.

        Nothing is sent before `fan_out`.
        """
        named = self.selection.named
        self._queue([sse.reset(topic, head, reason, self._writer, named=named)])

    async def fan_out(self) -> None:
        """Start sending the encoded chunks to all members that are level.

        Slow members go on by themselves. Returns when all sends have begun, and lets other tasks
        run after each `SENDS_AT_ONCE` members.
        """
        if self._unsent is None:
            return
        first, messages = (
            self._unsent,
            [body_message(chunk) for chunk in self.backlog.since(self._unsent)],
        )
        last = first + len(messages)
        for number, connection in enumerate(tuple(self.members), start=1):
            # While others ran, this one may have caught up by itself from the backlog, or been
            # added after these chunks: its `seq` says which of them it has had.
            while connection.is_idle and first <= (seq := connection.seq) < last:
                connection.offer(messages[seq - first])
            if number % SENDS_AT_ONCE == 0:
                await asyncio.sleep(0)
        self._unsent = None
        self._release()

    def _queue(self, frames: Iterable[bytes]) -> None:
        for chunk in sse.chunks_of(frames):
            if self._unsent is None:
                self._unsent = self.backlog.next
            self.backlog.append(chunk)

    def _release(self) -> None:
        """Forget chunks that nobody waits for, and end those who wait for too many."""
        if self._unsent is not None:
            return  # `fan_out` has not handed these out: also a level member still needs them
        if not self._lagging:
            self.backlog.clear()
        self.backlog.trim()
        for connection in tuple(self._lagging):
            if connection.seq < self.backlog.first:
                connection.end(CloseReason.OVERFLOW)
