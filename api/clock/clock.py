"""The server's time as a stream, one event each second: the smallest stream there is."""

import asyncio
from collections.abc import Callable

from api.events import Connection, Deadline, EventId, Message, Session, Streaming, body_message, sse

TICK_S = 1.0
SENDS_AT_ONCE = 256  # between two pauses in which other tasks run


class Clock:
    """Sends a `tick` with the time to all its readers at each whole second.

    `now` gives epoch seconds. One task and one encoding serve all readers, and without readers
    there is no task. A reader that is still busy with an earlier tick does not get the next one.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._readers: set[Connection] = set()
        self._ticking: asyncio.Task[None] | None = None

    def add(self, connection: Connection) -> None:
        """Send ticks to this connection until `remove`. The first one starts the task."""
        self._readers.add(connection)
        if self._ticking is None:
            self._ticking = asyncio.create_task(self._tick())

    def remove(self, connection: Connection) -> None:
        """Send no more ticks to this connection. The task ends with the last connection."""
        self._readers.discard(connection)
        if not self._readers and self._ticking is not None:
            self._ticking.cancel()
            self._ticking = None

    def time(self) -> str:
        """Return the time now in UTC, such as `2026-11-20T12:00:00.000Z`."""
        return EventId(int(self._now() * 1000), 0).time

    def frame(self) -> bytes:
        """Build the frame of a tick with the time now."""
        return sse.control_frame("tick", {"time": self.time()}, cursor=None, named=True)

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        at = loop.time() + TICK_S - self._now() % TICK_S
        while True:
            await asyncio.sleep(at - loop.time())
            # A process that was halted does not send the ticks that it missed.
            at += TICK_S * (1 + max(0.0, loop.time() - at) // TICK_S)
            await self._fan_out(body_message(self.frame()))

    async def _fan_out(self, message: Message) -> None:
        for number, connection in enumerate(tuple(self._readers), start=1):
            if connection.is_idle:
                connection.offer(message)
            if number % SENDS_AT_ONCE == 0:
                await asyncio.sleep(0)


class ClockStream(Session):
    """The session of one reader of the clock. A buffered answer gets one tick and ends."""

    def __init__(self, streaming: Streaming, deadline: Deadline, clock: Clock) -> None:
        super().__init__(streaming, deadline, named=True, expires_at=None)
        self._clock = clock

    async def _feed(self, connection: Connection) -> None:
        await connection.push(sse.opening(self._streaming.pause_ms()))
        if connection.one_batch:
            connection.offer(body_message(self._clock.frame()))
        self._clock.add(connection)

    def _closed(self, connection: Connection) -> None:
        self._clock.remove(connection)
