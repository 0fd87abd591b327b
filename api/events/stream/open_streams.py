"""All open streams of this process: counted, kept alive, and ended together at shutdown."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import cycle

from api.events.delivery.connection import Connection
from api.events.reasons import CloseReason

TICK_S = 1.0  # between two slots


class OpenStreams:
    """The open connections of this process, in one slot for each second between keep-alives.

    One timer serves them all: each second the connections of one slot are sent a keep-alive, so
    that the work is spread evenly. `is_draining` says that the process is about to end.
    """

    def __init__(self, *, keep_alive_s: int, max_streams: int) -> None:
        self.keep_alive_s = keep_alive_s
        self.is_draining = False
        self._max_streams = max_streams
        self._slots: list[set[Connection]] = [set() for _ in range(keep_alive_s)]
        self._slot_of: dict[Connection, int] = {}
        self._served = 0
        self._turns = cycle(range(keep_alive_s // 2 + 1))
        self._timer: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()
        self._empty.set()
        self._holds: set[asyncio.Timeout] = set()

    def __len__(self) -> int:
        return len(self._slot_of)

    @property
    def refusal(self) -> str | None:
        """Why no stream can be opened now: "draining" or "overloaded"; None if one can."""
        if self.is_draining:
            return "draining"
        return "overloaded" if len(self) >= self._max_streams else None

    def add(self, connection: Connection) -> None:
        """Count a connection and keep it alive, until `remove`."""
        # The first comment comes after half a round to a round. Clients that all come in the same
        # second get different slots.
        slot = (self._served - next(self._turns)) % len(self._slots)
        self._slots[slot].add(connection)
        self._slot_of[connection] = slot
        self._empty.clear()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def remove(self, connection: Connection) -> None:
        """Stop counting a connection and keeping it alive. The last one stops the timer."""
        self._slots[self._slot_of.pop(connection)].discard(connection)
        if self._slot_of:
            return
        self._empty.set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @asynccontextmanager
    async def hold(self, longest_s: float) -> AsyncIterator[None]:
        """Limit the `async with` block, in which a JSON answer waits, to `longest_s` seconds.

        Raises `TimeoutError` after that time, or at once when the process drains.
        """
        async with asyncio.timeout(0 if self.is_draining else longest_s) as limit:
            self._holds.add(limit)
            try:
                yield
            finally:
                self._holds.discard(limit)

    async def drain(self, *, timeout_s: float) -> bool:
        """Refuse new streams, end all open ones with `bye`, and wait until they are gone.

        JSON answers that wait for events end too. Returns False if streams are left after
        `timeout_s` seconds.
        """
        self.is_draining = True
        for connection in tuple(self._slot_of):
            connection.end(CloseReason.SHUTDOWN)
        for limit in self._holds:
            limit.reschedule(asyncio.get_running_loop().time())
        try:
            async with asyncio.timeout(timeout_s):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True

    def _tick(self) -> None:
        self._served = (self._served + 1) % len(self._slots)
        for connection in tuple(self._slots[self._served]):
            connection.keep_alive()
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)
