"""The loop: a few jobs at once, through failures of the store, until it is drained."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from api.jobs.model.handlers import JobContext, JobFailed
from api.jobs.model.job import Job, JobStatus
from tests.integration.jobs.bench import Bench, dead, left
from tests.integration.jobs.process import Process, Said, forever, said
from tests.support.upstash_server import UpstashServer

Start = Callable[..., Process]


def is_done(job: Job) -> bool:
    return job.is_done


@pytest.fixture
async def process(bench: Bench) -> AsyncIterator[Process]:
    process = Process(bench, slots=3)
    yield process
    await process.worker.drain(timeout_s=5)


async def test_jobs_are_done_a_few_at_once(bench: Bench, process: Process) -> None:
    """Never more than there are slots, and all of them."""
    at_once = most = 0

    async def counting(_: JobContext) -> Said:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.02)
        at_once -= 1
        return Said()

    jobs = [await bench.created() for _ in range(10)]
    process.does(counting).worker.start()

    for job in jobs:
        assert (await process.until(job, is_done)).status is JobStatus.SUCCEEDED
    assert most == 3


async def test_a_failed_attempt_is_made_again_after_its_pause(
    bench: Bench, process: Process
) -> None:
    """By whoever claims it when it is due; the queue is empty in the end."""

    async def at_the_second_go(context: JobContext) -> Said:
        if context.attempt == 1:
            raise JobFailed("not-yet", "Later.", retryable=True)
        return Said()

    job = await bench.created()
    process.does(at_the_second_go).worker.start()
    await process.until(job, lambda job: job.next_attempt_ms is not None)
    async with asyncio.timeout(10):
        while await left(bench) != (0, 1):  # the delivery waits for its time as well
            await asyncio.sleep(0.01)
    bench.clock.advance(1)

    done = await process.until(job, is_done)
    await process.worker.drain(timeout_s=5)

    assert (done.status, done.attempt) == (JobStatus.SUCCEEDED, 2)
    assert await left(bench) == (0, 0)


async def test_a_store_that_was_away_costs_time_and_no_job(
    upstash: UpstashServer, bench: Bench, process: Process
) -> None:
    """Claims fail, heartbeats fail, ends fail; then all go on."""
    jobs = [await bench.created() for _ in range(5)]

    async def slow(_: JobContext) -> Said:
        await asyncio.sleep(0.3)
        return Said()

    process.does(slow).worker.start()
    await process.until(jobs[0], lambda job: job.is_running)
    upstash.faults(refuse=True)
    await asyncio.sleep(1)
    upstash.faults(refuse=False)

    for _ in range(100):
        if all([(await process.job(job)).is_done for job in jobs]):
            break
        bench.clock.advance(1)  # deliveries that could not be looked at wait for their time
        await asyncio.sleep(0.1)
    assert {(await process.job(job)).status for job in jobs} == {JobStatus.SUCCEEDED}


async def test_a_drained_worker_has_handed_back_all_that_it_had(
    bench: Bench, process: Process
) -> None:
    """At once to be had by others, with all their attempts."""
    jobs = [await bench.created() for _ in range(5)]
    process.does(forever).worker.start()
    await process.until(jobs[2], lambda job: job.is_running)

    async with asyncio.timeout(2):
        await process.worker.drain(timeout_s=5)

    found = [await process.job(job) for job in jobs]
    assert {(job.status, job.attempt) for job in found} == {(JobStatus.QUEUED, 0)}
    other = Process(bench).does(said)
    deliveries = await other.queue.claim(10, wait_s=0)
    assert {delivery.job_id for delivery in deliveries} == {job.id for job in jobs}
    assert {delivery.receives for delivery in deliveries} == {1}


async def test_draining_takes_no_longer_than_it_may(
    upstash: UpstashServer, bench: Bench, process: Process
) -> None:
    """With the store away nothing can be handed back: the leases' ends will do it."""
    job = await bench.created()
    process.does(forever).worker.start()
    await process.until(job, lambda job: job.is_running)
    upstash.faults(silent=-1)

    async with asyncio.timeout(3):
        await process.worker.drain(timeout_s=0.3)
    upstash.clear_faults()

    assert (await process.job(job)).is_running


async def test_a_worker_without_slots_does_nothing(bench: Bench) -> None:
    """A process that only serves requests."""
    process = Process(bench, slots=0).does(said)
    job = await bench.created()

    process.worker.start()
    await asyncio.sleep(0.1)
    await process.worker.drain(timeout_s=1)

    assert (await process.job(job)).is_queued


async def test_a_job_that_kills_its_workers_ends_with_the_dead(
    bench: Bench, process: Process
) -> None:
    """Its attempts are used up, so its delivery is put aside."""
    job = await bench.created(max_attempts=1)
    await bench.store.start(job.id, lease_s=1)
    bench.clock.advance(2)

    process.does(said).worker.start()
    done = await process.until(job, is_done)
    await process.worker.drain(timeout_s=5)

    assert done.error is not None
    assert done.error.code == "worker-lost"
    assert await dead(bench) == [job.id]


async def test_an_unknown_failure_of_the_queue_does_not_end_the_loop(
    bench: Bench, process: Process
) -> None:
    """All jobs of the process hang on it."""
    claim = process.queue.claim
    failures = 2

    async def broken(limit: int, *, wait_s: float):
        nonlocal failures
        if failures:
            failures -= 1
            raise ZeroDivisionError
        return await claim(limit, wait_s=wait_s)

    process.queue.claim = broken  # type: ignore[method-assign]  # a bug, as it were
    job = await bench.created()
    process.does(said).worker.start()

    assert (await process.until(job, is_done)).status is JobStatus.SUCCEEDED
