"""How often an idle worker asks Redis for jobs."""

from __future__ import annotations

import asyncio
import random
import time

from api.events import Pace
from api.jobs.store import layout
from api.jobs.work.redis_queue import RedisQueue
from tests.integration.jobs.bench import Bench, an_id
from tests.support.upstash_server import UpstashServer
from tests.unit.security.support import FakeClock, counting_ids

LEASE_S = 0.4


async def test_an_idle_worker_asks_at_its_pace_however_its_claims_fall(
    upstash: UpstashServer, bench: Bench
) -> None:
    """From its first claim on, and no more often when claims are shorter than its pauses."""
    queue = RedisQueue(
        bench.redis,
        lease_s=LEASE_S,
        pace=Pace(shortest_s=0.1, longest_s=0.2, longest_with_doorbell_s=0.2),
        awake=asyncio.Event(),
        clock=time.time,
        monotonic=time.monotonic,
        rng=random.Random(1),
        new_id=counting_ids("worker"),
    )

    for _ in range(20):
        assert await queue.claim(1, wait_s=0.05) == []

    assert upstash.meter().commands["XREADGROUP"] <= 12


async def test_a_worker_gets_what_is_queued_when_the_wall_clock_is_set_back(
    bench: Bench,
) -> None:
    """Its pauses are not measured by it."""
    wall = FakeClock()
    queue = RedisQueue(
        bench.redis,
        lease_s=LEASE_S,
        pace=Pace(shortest_s=0.01, longest_s=0.02, longest_with_doorbell_s=0.02),
        awake=asyncio.Event(),
        clock=wall,
        monotonic=time.monotonic,
        rng=random.Random(1),
        new_id=counting_ids("worker"),
    )
    assert await queue.claim(1, wait_s=0.01) == []
    wall.advance(-60)
    job_id = an_id()
    await bench.redis.write(*("XADD", layout.QUEUE, "*", layout.QUEUE_FIELD, job_id))

    async with asyncio.timeout(5):
        (delivery,) = await queue.claim(1, wait_s=4)

    assert delivery.job_id == job_id
