"""Workers on the real local store, with handlers that tests steer."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import BaseModel

from api.events import Pace
from api.jobs.model.handlers import JobContext, Registry, job
from api.jobs.model.job import Job
from api.jobs.model.queue import Delivery
from api.jobs.work.attempt import LeaseTiming
from api.jobs.work.attempt_end import Backoff
from api.jobs.work.redis_queue import RedisQueue
from api.jobs.work.runner import JobLimits, JobRunner
from api.jobs.work.worker import Worker
from tests.integration.jobs.bench import Bench
from tests.unit.security.support import counting_ids

LEASE_S = 2.0
HEARTBEAT_S = 0.1
RESULT_BYTES = 100_000


class Nothing(BaseModel):
    n: int = 1


class Said(BaseModel):
    text: str = "done"


Body = Callable[[JobContext], Awaitable[Any]]


class Process:
    """One process's worker. `does` says what jobs of type `report` do."""

    def __init__(self, bench: Bench, *, slots: int = 2, lease_s: float = LEASE_S) -> None:
        self.bench = bench
        self.contexts: list[JobContext] = []
        rng = random.Random(1)
        self.queue = RedisQueue(
            bench.redis,
            lease_s=lease_s,
            pace=Pace(shortest_s=0.01, longest_s=0.05, longest_with_doorbell_s=0.05),
            awake=bench.store.changes.queued,
            clock=bench.clock,
            monotonic=bench.clock,
            rng=rng,
            new_id=counting_ids(f"worker-{id(self)}"),
        )
        self.registry = Registry()
        self.runner = JobRunner(
            store=bench.store,
            changes=bench.store.changes,
            queue=self.queue,
            registry=self.registry,
            timing=LeaseTiming(lease_s=lease_s, heartbeat_s=HEARTBEAT_S),
            limits=JobLimits(result_bytes=RESULT_BYTES, receives=3),
            backoff=Backoff(first_s=0.1, chance=lambda: 1.0),
            clock=bench.clock,
            monotonic=time.monotonic,
            rng=rng,
            new_id=counting_ids("ref"),
        )
        self.worker = Worker(self.queue, self.runner, slots=slots, rng=rng)

    def does(self, body: Body, *, timeout_s: float = 60, type_: str = "report") -> Process:
        @job(type_, input=Nothing, result=Said, timeout_s=timeout_s)
        async def handler(context: JobContext, _: Nothing) -> Any:
            """What the test says."""
            self.contexts.append(context)
            return await body(context)

        self.registry.add(handler)
        return self

    async def taken(self) -> Delivery:
        """The next delivery, which must be there."""
        (delivery,) = await self.queue.claim(1, wait_s=0)
        return delivery

    async def job(self, job: Job) -> Job:
        """The job as it is now."""
        found = await self.bench.store.find(job.id)
        assert found is not None
        return found

    async def until(self, job: Job, holds: Callable[[Job], bool]) -> Job:
        """The job, once it is as wanted."""
        async with asyncio.timeout(10):
            while not holds(found := await self.job(job)):
                await asyncio.sleep(0.02)
            return found


async def said(_: JobContext) -> Said:
    return Said()


async def forever(_: JobContext) -> Said:
    await asyncio.sleep(3600)
    return Said()


def is_running(job: Job) -> bool:
    return job.is_running
