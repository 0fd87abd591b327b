"""Millrace with nobody talking: what a thousand idle streams cost in Redis commands."""

import asyncio
import contextlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter

from tests.benchmarks.fanout import FAILURES
from tests.benchmarks.plan import Plan
from tests.benchmarks.session import Delivery, Session
from tests.benchmarks.targets import Vendor, millrace, vendor

_POISSON_RATE = 4.0
_SEED = 20


@dataclass(frozen=True)
class Idle:
    """Commands per second while idle, then how fast sparse events arrive from another process."""

    doorbell: bool
    commands_per_s: dict[str, float]
    cpu_us_per_s: float
    sparse: Delivery | None
    failure: str | None = None


async def measure_idle(plan: Plan) -> list[Idle]:
    """The doorbell off and on. Both are idle at once, but never deliver at once."""
    turn = asyncio.Lock()
    return list(
        await asyncio.gather(*(_idle(plan, turn, doorbell=doorbell) for doorbell in (False, True)))
    )


async def _idle(plan: Plan, turn: asyncio.Lock, *, doorbell: bool) -> Idle:
    label = "doorbell" if doorbell else "polled"
    try:
        async with contextlib.AsyncExitStack() as stack:
            upstash = await stack.enter_async_context(vendor(label))
            product = millrace(upstash, label, publish_elsewhere=True, doorbell=doorbell)
            target = await stack.enter_async_context(product)
            session = Session(target, plan.payload_bytes, events=plan.idle_events)
            async with turn:
                await session.warm_up()
                await session.connect(plan.readers)
            # Polls grow rarer from the last event on: what counts is where they come to rest.
            await asyncio.sleep(plan.idle_s / 4)
            cpu_us, started = target.server.tree.cpu_us(), perf_counter()
            commands = await _commands_per_s(upstash, plan.idle_s)
            cpu_us_per_s = (target.server.tree.cpu_us() - cpu_us) / (perf_counter() - started)
            async with turn:
                sparse = await session.deliver(plan.idle_events, _poisson_gaps())
                await session.finish()
    except FAILURES as error:
        return Idle(doorbell, {}, 0.0, None, f"{type(error).__name__}: {error}")
    return Idle(doorbell, commands, cpu_us_per_s, sparse)


async def _commands_per_s(upstash: Vendor, window_s: float) -> dict[str, float]:
    before = await upstash.commands()
    await asyncio.sleep(window_s)
    after = await upstash.commands()
    used = {name: (count - before.get(name, 0)) / window_s for name, count in after.items()}
    return {name: rate for name, rate in used.items() if rate}


def _poisson_gaps() -> Iterator[float]:
    source = random.Random(_SEED)
    while True:
        yield source.expovariate(_POISSON_RATE)
