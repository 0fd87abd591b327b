"""Readers: raw sockets in one loop, each checked for every event, once and in order."""

import asyncio
import re
from time import perf_counter
from typing import NamedTuple, cast

from tests.benchmarks.body import BadResponse, StreamBody

_SEQUENCE = re.compile(rb'"seq": ?(\d+)')
# A stream may open with comments, before its place in the log is known.
_CONNECTED = b"event: connected"
_CONNECTING_AT_ONCE = 100


class DeliveryFailed(Exception):
    """A reader missed an event, saw one twice or out of order, or lost its stream."""


class Arrival(NamedTuple):
    """One read from one socket: `events` of them from number `first`, at the clock's `at`."""

    at: float
    first: int
    events: int


class Reader(asyncio.Protocol):
    """One stream. Once it is `connected`, numbers must run without a gap."""

    def __init__(self, fleet: "Fleet", first: int) -> None:
        self._fleet = fleet
        self._body = StreamBody()
        self._next = first
        self.transport: asyncio.Transport | None = None
        self.ready = asyncio.Event()
        self.closed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self.transport.write(self._fleet.request)

    def data_received(self, data: bytes) -> None:
        at = perf_counter()
        try:
            frames = self._body.feed(data)
        except (BadResponse, ValueError) as error:
            self._fail(f"not an open event stream: {error}")
            return
        if not frames:
            return
        if not self.ready.is_set() and _CONNECTED in frames:
            self.ready.set()
        numbers = _SEQUENCE.findall(frames)
        if numbers:
            self._take(numbers, at)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()
        if not self._fleet.closing:
            self._fail(f"stream ended before event {self._next}: {exc}")

    def _take(self, numbers: list[bytes], at: float) -> None:
        first, count = self._next, len(numbers)
        if numbers != self._fleet.expected[first : first + count]:
            self._fail(f"expected event {first}, got {numbers[:5]!r}")
            return
        self._next = first + count
        self._fleet.record(Arrival(at, first, count))

    def _fail(self, reason: str) -> None:
        self._fleet.fail(reason)
        self.ready.set()


class Fleet:
    """N readers of one address; counts deliveries and wakes the waiter when all have arrived."""

    def __init__(self, address: tuple[str, int], request: bytes, expected: list[bytes]) -> None:
        self.request = request
        self.expected = expected
        self.closing = False
        self.arrivals: list[Arrival] = []
        self._address = address
        self._readers: list[Reader] = []
        self._delivered = 0
        self._awaited = 0
        self._fault: str | None = None
        self._wake = asyncio.Event()

    async def open(self, count: int, *, first: int, timeout_s: float) -> None:
        """Return when `count` streams are connected. Event `first` comes next."""
        gate = asyncio.Semaphore(_CONNECTING_AT_ONCE)
        try:
            async with asyncio.timeout(timeout_s), asyncio.TaskGroup() as group:
                for _ in range(count):
                    group.create_task(self._open_one(gate, first))
        except TimeoutError:
            connected = sum(reader.ready.is_set() for reader in self._readers)
            self.fail(f"{connected} of {count} streams connected in {timeout_s} s")
        self._raise_fault()

    async def arrived(self, deliveries: int, *, timeout_s: float) -> None:
        """Return when `deliveries` more than at the last call have arrived."""
        self._awaited += deliveries
        try:
            async with asyncio.timeout(timeout_s):
                while self._delivered < self._awaited and self._fault is None:
                    self._wake.clear()
                    await self._wake.wait()
        except TimeoutError:
            self.fail(f"{self._awaited - self._delivered} deliveries missing after {timeout_s} s")
        self._raise_fault()

    def take_arrivals(self) -> list[Arrival]:
        arrivals, self.arrivals = self.arrivals, []
        return arrivals

    async def close(self) -> None:
        """Abort every stream and return when each is gone."""
        self.closing = True
        for reader in self._readers:
            if reader.transport is not None:
                reader.transport.abort()
        async with asyncio.timeout(10):
            for reader in self._readers:
                await reader.closed.wait()

    def record(self, arrival: Arrival) -> None:
        self.arrivals.append(arrival)
        self._delivered += arrival.events
        if self._delivered >= self._awaited:
            self._wake.set()

    def fail(self, reason: str) -> None:
        self._fault = self._fault or reason
        self._wake.set()

    async def _open_one(self, gate: asyncio.Semaphore, first: int) -> None:
        loop = asyncio.get_running_loop()
        async with gate:
            try:
                _, reader = await loop.create_connection(
                    lambda: Reader(self, first), *self._address
                )
            except OSError as error:
                self.fail(f"refused: {error}")
                return
            self._readers.append(reader)
            await reader.ready.wait()

    def _raise_fault(self) -> None:
        if self._fault is not None:
            raise DeliveryFailed(self._fault)
