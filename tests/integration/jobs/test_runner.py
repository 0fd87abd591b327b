"""One delivery, from the lease to the end of its attempt."""

from __future__ import annotations

import asyncio
import time

import pytest

from api.jobs.model.handlers import JobContext
from api.jobs.model.job import JobStatus, job_id_of
from api.jobs.model.queue import Delivery, DeliveryEnd
from api.jobs.work.runner import WorkTime
from tests.integration.jobs.bench import Bench
from tests.integration.jobs.process import Process, Said, forever, is_running, said
from tests.support.upstash_server import UpstashServer

pytestmark = pytest.mark.usefixtures("unwritten_logs")


async def test_a_job_that_succeeds_has_its_result_and_its_delivery_is_spent(
    bench: Bench, process: Process
) -> None:
    """The plain way."""
    job = await bench.created()
    process.does(said)

    outcome = await process.runner.run(await process.taken())

    done = await process.job(job)
    assert outcome.end is DeliveryEnd.DONE
    assert (done.status, done.result, done.attempt) == ("succeeded", '{"text":"done"}', 1)


async def test_a_delivery_of_a_job_that_is_done_does_nothing(
    bench: Bench, process: Process
) -> None:
    """A queue may bring a job twice; the handler runs once."""
    await bench.created()
    process.does(said)
    delivery = await process.taken()
    await process.runner.run(delivery)

    outcome = await process.runner.run(delivery)

    assert outcome.end is DeliveryEnd.DONE
    assert len(process.contexts) == 1


async def test_a_delivery_of_no_job_is_spent(process: Process) -> None:
    """Its job has expired, or never was."""
    outcome = await process.runner.run(Delivery(job_id_of(1, "x"), "0-1", 1))

    assert outcome.end is DeliveryEnd.DONE


async def test_a_job_that_another_worker_has_is_busy_until_its_lease_ends(
    bench: Bench, process: Process
) -> None:
    """At most one worker has a job."""
    job = await bench.created()
    process.does(said)
    await bench.store.start(job.id, lease_s=30)

    outcome = await process.runner.run(await process.taken())

    assert outcome.end is DeliveryEnd.BUSY
    assert outcome.delay_s == pytest.approx(30, abs=1)
    assert process.contexts == []


async def test_a_cancel_elsewhere_ends_the_handler_with_the_next_heartbeat(
    bench: Bench, process: Process
) -> None:
    """It may clean up; then the job is canceled, whatever it returns."""
    cleaned = []

    async def tidy(context: JobContext) -> Said:
        try:
            return await forever(context)
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
            cleaned.append(context.is_cancelled)
            return Said()

    job = await bench.created()
    process.does(tidy)
    bench.store.changes.listeners.clear()  # another process cancels
    running = asyncio.create_task(process.runner.run(await process.taken()))
    await process.until(job, is_running)

    await bench.store.change(job.id, lambda job: job.cancel_asked(bench.now_ms))
    outcome = await running

    assert outcome.end is DeliveryEnd.DONE
    assert (await process.job(job)).status is JobStatus.CANCELED
    assert cleaned == [True]


async def test_a_cancel_of_the_same_process_needs_no_heartbeat(bench: Bench) -> None:
    """The write itself tells the runner."""
    process = Process(bench, lease_s=60).does(forever)
    process.runner.timing = type(process.runner.timing)(lease_s=60, heartbeat_s=60)
    job = await bench.created()
    running = asyncio.create_task(process.runner.run(await process.taken()))
    await process.until(job, is_running)

    await bench.store.change(job.id, lambda job: job.cancel_asked(bench.now_ms))

    async with asyncio.timeout(2):
        assert (await running).end is DeliveryEnd.DONE


async def test_a_worker_that_stops_hands_its_job_back_and_the_attempt_does_not_count(
    bench: Bench, process: Process
) -> None:
    """A deploy must not use up a job's attempts."""
    job = await bench.created()
    process.does(forever)
    running = asyncio.create_task(process.runner.run(await process.taken()))
    await process.until(job, is_running)

    process.runner.stop()
    outcome = await running

    assert (outcome.end, outcome.delay_s) == (DeliveryEnd.RETURNED, 0)
    back = await process.job(job)
    assert (back.status, back.attempt) == (JobStatus.QUEUED, 0)


async def test_a_stop_that_comes_while_the_lease_is_taken_is_not_missed(
    bench: Bench, process: Process
) -> None:
    """The job goes back without its handler having begun."""
    bench.store.changes.listeners.append(
        lambda job: process.runner.stop() if job.is_running else None
    )
    job = await bench.created()

    outcome = await process.does(forever).runner.run(await process.taken())

    assert outcome.end is DeliveryEnd.RETURNED
    assert process.contexts == []
    assert (await process.job(job)).attempt == 0


async def test_a_handler_that_is_done_when_its_worker_stops_keeps_its_result(
    bench: Bench, process: Process
) -> None:
    """Work that is done is not thrown away."""

    async def stubborn(context: JobContext) -> Said:
        try:
            return await forever(context)
        except asyncio.CancelledError:
            return Said(text="just in time")

    job = await bench.created()
    process.does(stubborn)
    running = asyncio.create_task(process.runner.run(await process.taken()))
    await process.until(job, is_running)

    process.runner.stop()

    assert (await running).end is DeliveryEnd.DONE
    assert (await process.job(job)).status is JobStatus.SUCCEEDED


async def test_a_worker_that_lost_its_lease_writes_nothing_more_and_keeps_off_the_delivery(
    bench: Bench, process: Process
) -> None:
    """What a zombie says is fenced, and its handler is ended with the next heartbeat."""
    job = await bench.created()
    process.does(forever)
    bench.store.changes.listeners.clear()
    running = asyncio.create_task(process.runner.run(await process.taken()))
    await process.until(job, is_running)

    bench.clock.advance(10)  # its lease ends before the next heartbeat
    started = await bench.store.start(job.id, lease_s=30)
    async with asyncio.timeout(5):
        outcome = await running

    assert outcome.end is DeliveryEnd.LOST
    now = await process.job(job)
    assert (now.status, now.attempt, now.version) == ("running", 2, started.job.version)


async def test_a_job_that_needs_more_time_than_is_left_is_not_begun(
    bench: Bench, process: Process
) -> None:
    """It keeps its attempt for a worker that has the time."""
    job = await bench.created()
    process.does(said, timeout_s=60)
    work_time = WorkTime(ends_at=time.monotonic() + 30, whole_s=120)

    outcome = await process.runner.run(await process.taken(), work_time)

    assert outcome.end is DeliveryEnd.RETURNED
    assert (await process.job(job)).version == 1


async def test_a_job_that_needs_more_than_any_shift_has_a_whole_one_and_then_counts(
    bench: Bench, process: Process
) -> None:
    """Else it would be begun for ever, or never."""
    job = await bench.created(max_attempts=1)
    process.does(forever, timeout_s=3600)
    work_time = WorkTime(ends_at=time.monotonic() + 0.3, whole_s=0.3)

    outcome = await process.runner.run(await process.taken(), work_time)

    done = await process.job(job)
    assert outcome.end is DeliveryEnd.DONE
    assert done.error is not None
    assert done.error.code == "timed-out"


async def test_a_type_that_this_process_does_not_know_waits_for_another(
    bench: Bench, process: Process
) -> None:
    """In a rolling deploy, old workers meet jobs of new types."""
    job = await bench.created()

    outcome = await process.runner.run(await process.taken())

    assert outcome.end is DeliveryEnd.BUSY
    assert outcome.delay_s > 0
    assert (await process.job(job)).version == 1


async def test_the_store_away_at_the_start_delays_the_job(
    upstash: UpstashServer, bench: Bench, process: Process
) -> None:
    """Nothing is known of it, so nothing is done to it."""
    job = await bench.created()
    process.does(said)
    delivery = await process.taken()

    upstash.faults(bad_gateway=-1)
    outcome = await process.runner.run(delivery)
    upstash.clear_faults()

    assert outcome.end is DeliveryEnd.BUSY
    assert (await process.job(job)).version == 1


async def test_a_job_that_was_delivered_too_often_without_an_end_is_dead(
    bench: Bench, process: Process
) -> None:
    """Its workers died of it, whatever its attempts are."""
    job = await bench.created(max_attempts=100)
    process.does(said)
    delivery = await process.taken()

    outcome = await process.runner.run(Delivery(delivery.job_id, delivery.receipt, 4))

    assert outcome.end is DeliveryEnd.DEAD
    done = await process.job(job)
    assert done.error is not None
    assert (done.status, done.error.code) == ("failed", "worker-lost")
    assert process.contexts == []


async def test_a_job_whose_attempts_all_killed_their_workers_is_dead(
    bench: Bench, process: Process
) -> None:
    """Also when its delivery comes again: it belongs to the dead."""
    job = await bench.created(max_attempts=1)
    process.does(said)
    await bench.store.start(job.id, lease_s=1)
    bench.clock.advance(2)
    delivery = await process.taken()

    kinds = [(await process.runner.run(delivery)).end for _ in range(2)]

    assert kinds == [DeliveryEnd.DEAD, DeliveryEnd.DEAD]
    done = await process.job(job)
    assert done.error is not None
    assert done.error.code == "worker-lost"
