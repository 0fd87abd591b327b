"""The server's time, each second: the smallest stream there is."""

import asyncio
from collections.abc import Callable

from api.events import Connection, Deadline, EventId, Message, Session, Streaming, body, sse

TICK_S = 1.0
SENDS_AT_ONCE = 256


class Clock:
    """Ticks for all its readers with the whole seconds of `now`, which gives epoch seconds.

    One task and one encoding serve them all, and there is none without readers. Who does not
    take a tick misses those that come meanwhile.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._readers: set[Connection] = set()
        self._ticking: asyncio.Task[None] | None = None

    def join(self, connection: Connection) -> None:
        """Tick for this connection too, until `leave`."""
        self._readers.add(connection)
        if self._ticking is None:
            self._ticking = asyncio.create_task(self._tick())

    def leave(self, connection: Connection) -> None:
        """Tick no more for this connection; without any, the task ends."""
        self._readers.discard(connection)
        if not self._readers and self._ticking is not None:
            self._ticking.cancel()
            self._ticking = None

    def time(self) -> str:
        """Now, as all our times are written."""
        return EventId(int(self._now() * 1000), 0).time

    def frame(self) -> bytes:
        """What a tick says now."""
        return sse.control_frame("tick", {"time": self.time()}, cursor=None, named=True)

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        at = loop.time() + TICK_S - self._now() % TICK_S
        while True:
            await asyncio.sleep(at - loop.time())
            # A process that was halted goes on with the next second, and does not make up.
            at += TICK_S * (1 + max(0.0, loop.time() - at) // TICK_S)
            await self._fan_out(body(self.frame()))

    async def _fan_out(self, message: Message) -> None:
        for number, connection in enumerate(tuple(self._readers), start=1):
            if connection.is_idle:
                connection.offer(message)
            if number % SENDS_AT_ONCE == 0:
                await asyncio.sleep(0)


class ClockStream(Session):
    """One reader of the clock. A buffered answer is one tick."""

    def __init__(self, streaming: Streaming, deadline: Deadline, clock: Clock) -> None:
        super().__init__(streaming, deadline, named=True, expires_at=None)
        self._clock = clock

    async def _feed(self, connection: Connection) -> None:
        await connection.push(sse.opening(self._streaming.pause_ms()))
        if connection.one_batch:
            connection.offer(body(self._clock.frame()))
        self._clock.join(connection)

    def _closed(self, connection: Connection) -> None:
        self._clock.leave(connection)
