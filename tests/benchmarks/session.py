"""One target with readers attached, and the numbered events they must all see."""

import asyncio
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter, process_time

from tests.benchmarks.client import Arrival, Fleet
from tests.benchmarks.targets import Target

_OPEN_S = 60.0
_WARM_UP_READERS = 50
_POOL = 34
# The most events beside the measured ones: warm-up, one lead-in per series, the last.
_UNCOUNTED = 10
_RELEASE_S = 10.0


@dataclass(frozen=True)
class Delivery:
    """What a series of events cost the server, from the first publish to the last delivery."""

    deliveries: int
    cpu_us_per_delivery: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    deliveries_per_s: float
    client_cpu_us_per_delivery: float


@dataclass(frozen=True)
class Connecting:
    """What opening the readers cost."""

    cpu_us_per_connect: float
    rss_kb_per_connection: float


class Session:
    """Opens readers, publishes numbered events and waits until every reader has each of them."""

    def __init__(self, target: Target, payload_bytes: int, *, events: int) -> None:
        self._target = target
        self._payload_bytes = payload_bytes
        self._expected = [b"%d" % number for number in range(events + _UNCOUNTED)]
        self._published_at: list[float] = []
        self._readers = 0
        self._fleet = self._new_fleet()

    async def warm_up(self) -> None:
        """Open, use and close a few readers, so that first-time costs are paid."""
        tree = self._target.server.tree
        await self._fleet.open(_WARM_UP_READERS, first=0, timeout_s=_OPEN_S)
        await self._publish([0])
        await self._fleet.arrived(_WARM_UP_READERS, timeout_s=_OPEN_S)
        open_descriptors = tree.descriptors()
        await self._fleet.close()
        async with asyncio.timeout(_RELEASE_S):
            # Giving back their leases may open all connections to Redis; leaked streams are more.
            while tree.descriptors() > open_descriptors - _WARM_UP_READERS + _POOL:
                await asyncio.sleep(0.01)

    async def connect(self, readers: int) -> Connecting:
        tree = self._target.server.tree
        self._fleet = self._new_fleet()
        rss_kb, cpu_us = tree.rss_kb(), tree.cpu_us()
        await self._fleet.open(readers, first=len(self._published_at), timeout_s=_OPEN_S)
        self._readers = readers
        return Connecting((tree.cpu_us() - cpu_us) / readers, (tree.rss_kb() - rss_kb) / readers)

    async def single(self) -> None:
        """One event outside of any series, seen by all readers."""
        await self._publish([len(self._published_at)])
        await self._fleet.arrived(self._readers, timeout_s=_OPEN_S)
        self._fleet.take_arrivals()

    async def deliver(self, events: int, gaps: Iterator[float], *, batch: int = 1) -> Delivery:
        """Publish `events` in batches, `gaps` seconds apart, and wait for the last delivery."""
        first = len(self._published_at)
        tree = self._target.server.tree
        cpu_us, client_s, started = tree.cpu_us(), process_time(), perf_counter()
        await self._pace(range(first, first + events), gaps, batch)
        await self._fleet.arrived(events * self._readers, timeout_s=_OPEN_S)
        elapsed_s, client_s = perf_counter() - started, process_time() - client_s
        cpu_us = tree.cpu_us() - cpu_us
        latencies = _latencies_ms(self._fleet.take_arrivals(), self._published_at)
        cuts = statistics.quantiles(latencies, n=100)
        return Delivery(
            deliveries=len(latencies),
            cpu_us_per_delivery=cpu_us / len(latencies),
            p50_ms=cuts[49],
            p95_ms=cuts[94],
            p99_ms=cuts[98],
            deliveries_per_s=len(latencies) / elapsed_s,
            client_cpu_us_per_delivery=client_s * 1e6 / len(latencies),
        )

    async def finish(self) -> None:
        """Send one more event: whoever had a duplicate behind the last one now shows it."""
        await self.single()
        await self._fleet.close()

    async def _pace(self, numbers: range, gaps: Iterator[float], batch: int) -> None:
        due = perf_counter()
        await self._publish(numbers[:batch])
        for at in range(batch, len(numbers), batch):
            due += next(gaps)
            await asyncio.sleep(max(0.0, due - perf_counter()))
            await self._publish(numbers[at : at + batch])

    async def _publish(self, numbers: range | list[int]) -> None:
        payloads = [_payload(number, self._payload_bytes) for number in numbers]
        self._published_at += [perf_counter()] * len(payloads)
        await self._target.publisher.publish(payloads)

    def _new_fleet(self) -> Fleet:
        return Fleet(self._target.server.address(), self._target.request, self._expected)


def _payload(number: int, size: int) -> bytes:
    start = b'{"seq":%d,"pad":"' % number
    return start.ljust(size - 2, b"x") + b'"}'


def _latencies_ms(arrivals: list[Arrival], published_at: list[float]) -> list[float]:
    return [
        (arrival.at - published_at[number]) * 1000
        for arrival in arrivals
        for number in range(arrival.first, arrival.first + arrival.events)
    ]
