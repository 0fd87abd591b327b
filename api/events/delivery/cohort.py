"""Readers who get the same bytes: the same topics, filter and form.

While they are level they also have the same cursor, so whole frames are encoded once for all.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from api.events.cursor import CursorWriter
from api.events.delivery import sse
from api.events.delivery.backlog import Backlog
from api.events.delivery.connection import CHUNK_BYTES, Connection, body
from api.events.event import Event, EventId
from api.events.read_request import Selection
from api.events.reasons import CloseReason, ResetReason
from api.events.topic import TopicName

SENDS_AT_ONCE = 256


def encode_events(
    selection: Selection, events: Iterable[Event], writer: CursorWriter
) -> list[bytes]:
    """A frame for each event that the selection shows; the cursor moves over the others too."""
    frames = []
    for event in events:
        writer.move(event.topic, event.id)
        if selection.shows(event):
            frames.append(sse.event_frame(event, writer.text(), named=selection.named))
    return frames


def chunks_of(frames: Iterable[bytes]) -> list[bytes]:
    """Frames joined into as few chunks of at most `CHUNK_BYTES` as their order allows."""
    chunks: list[bytes] = []
    pending: list[bytes] = []
    size = 0
    for frame in frames:
        if pending and size + len(frame) > CHUNK_BYTES:
            chunks.append(b"".join(pending))
            pending, size = [], 0
        pending.append(frame)
        size += len(frame)
    if pending:
        chunks.append(b"".join(pending))
    return chunks


class Cohort:
    """The connections of one selection, and the backlog of those that lag."""

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
        return self._writer.text()

    def add(self, connection: Connection) -> None:
        """Feed a connection that stands exactly where the cohort does."""
        connection.feed = self
        connection.seq = self.backlog.next
        self.members.add(connection)
        if not connection.is_idle:  # a keep-alive from before is still under way
            self.fell_behind(connection)

    def remove(self, connection: Connection) -> None:
        self.members.discard(connection)
        self.caught_up(connection)

    def fell_behind(self, connection: Connection) -> None:
        self._lagging.add(connection)

    def caught_up(self, connection: Connection) -> None:
        self._lagging.discard(connection)
        self._release()

    def take_in(self, events: Sequence[Event], ends: Mapping[TopicName, EventId]) -> int:
        """Encode what has come on its topics, and stand at `ends`.

        Returns how many of the events the selection shows.
        """
        frames = encode_events(self.selection, events, self._writer)
        for topic, end in ends.items():
            self._writer.move(topic, end)
        self._queue(frames)
        return len(frames)

    def take_reset(self, topic: TopicName, head: EventId, reason: ResetReason) -> None:
        """Tell the readers that events of `topic` were lost and that it goes on at `head`."""
        self._writer.move(topic, head)
        data = sse.reset_data([topic], reason)
        frame = sse.control_frame("reset", data, cursor=self.cursor(), named=self.selection.named)
        self._queue([frame])

    async def fan_out(self) -> None:
        """Start the sends of all members that are level; the slow ones go on by themselves."""
        if self._unsent is None:
            return
        first, messages = self._unsent, [body(chunk) for chunk in self.backlog.since(self._unsent)]
        last = first + len(messages)
        for number, connection in enumerate(tuple(self.members), start=1):
            while connection.is_idle and first <= (seq := connection.seq) < last:
                connection.offer(messages[seq - first])
            if number % SENDS_AT_ONCE == 0:
                await asyncio.sleep(0)
        self._unsent = None
        self._release()

    def _queue(self, frames: Iterable[bytes]) -> None:
        for chunk in chunks_of(frames):
            if self._unsent is None:
                self._unsent = self.backlog.next
            self.backlog.append(chunk)

    def _release(self) -> None:
        """Let go of what nobody waits for, and of those who wait for too much."""
        if self._unsent is not None:
            return
        if not self._lagging:
            self.backlog.clear()
        self.backlog.trim()
        for connection in tuple(self._lagging):
            if connection.seq < self.backlog.first:
                connection.end(CloseReason.OVERFLOW)
