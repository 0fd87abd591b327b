"""One topic to many readers: every target in every round, so that noise meets all alike."""

import itertools
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import httpx

from tests.benchmarks.client import DeliveryFailed
from tests.benchmarks.plan import Pace, Plan
from tests.benchmarks.servers import ServerFailed
from tests.benchmarks.session import Connecting, Delivery, Session
from tests.benchmarks.targets import Target

Opener = Callable[[], AbstractAsyncContextManager[Target]]
# What makes a row say FAILED; anything else is a fault of the benchmark and ends it.
FAILURES = (ServerFailed, DeliveryFailed, httpx.HTTPError, OSError)
_BATCH = 100


@dataclass(frozen=True)
class Load:
    """What a target is put under: readers, and the series of events they get."""

    readers: int
    paces: tuple[Pace, ...]
    payload_bytes: int


@dataclass(frozen=True)
class Sample:
    """One target in one round. `delivered` follows the load's paces; empty when it failed."""

    round: int
    target: str
    connecting: Connecting | None
    delivered: tuple[Delivery, ...]
    failure: str | None = None


def fanout_load(plan: Plan) -> Load:
    return Load(plan.readers, plan.paces, plan.payload_bytes)


def burst_load(plan: Plan) -> Load:
    """As many events as can be published, in batches, to few readers."""
    return Load(plan.burst_readers, (Pace(math.inf, plan.burst_events),), plan.payload_bytes)


async def measure(openers: dict[str, Opener], load: Load, rounds: int) -> list[Sample]:
    return [
        await _sample(number, name, openers[name], load)
        for number in range(rounds)
        for name in _alternating(list(openers), number)
    ]


def _alternating(names: list[str], number: int) -> Iterator[str]:
    return iter(names) if number % 2 == 0 else reversed(names)


async def _sample(number: int, name: str, opener: Opener, load: Load) -> Sample:
    events = sum(pace.events for pace in load.paces)
    try:
        async with opener() as target:
            session = Session(target, load.payload_bytes, events=events)
            await session.warm_up()
            connecting = await session.connect(load.readers)
            delivered = [await _deliver(session, pace) for pace in load.paces]
            await session.finish()
    except FAILURES as error:
        return Sample(number, name, None, (), f"{type(error).__name__}: {error}")
    return Sample(number, name, connecting, tuple(delivered))


async def _deliver(session: Session, pace: Pace) -> Delivery:
    # A poller that rests sees the first event late: the series is of streams that flow.
    await session.single()
    gaps = itertools.repeat(1 / pace.rate)
    return await session.deliver(pace.events, gaps, batch=_BATCH if pace.is_burst else 1)
