"""One delivery, from the lease to the end of its attempt."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel
from structlog.testing import capture_logs

from api.jobs.model.handlers import JobContext, JobFailed
from api.jobs.model.job import Job, JobStatus, job_id_of
from api.jobs.model.queue import Delivery, DeliveryEnd
from api.jobs.work.runner import JobLimits, Shift
from tests.integration.jobs.conftest import Bench
from tests.integration.jobs.crew import RESULT_BYTES, Crew, Said, forever, said
from tests.support.upstash_server import UpstashServer


@pytest.fixture(autouse=True)
def logs() -> Iterator[None]:
    """Not written: pretty tracebacks take longer than the tests."""
    with capture_logs():
        yield


@pytest.fixture
def crew(bench: Bench) -> Crew:
    return Crew(bench)


def is_running(job: Job) -> bool:
    return job.is_running


async def test_a_job_that_succeeds_has_its_result_and_its_delivery_is_spent(
    bench: Bench, crew: Crew
) -> None:
    """The plain way."""
    job = await bench.created()
    crew.does(said)

    outcome = await crew.runner.run(await crew.taken())

    done = await crew.job(job)
    assert outcome.kind is DeliveryEnd.DONE
    assert (done.status, done.result, done.attempt) == ("succeeded", '{"text":"done"}', 1)


async def test_a_delivery_of_a_job_that_is_done_does_nothing(bench: Bench, crew: Crew) -> None:
    """A queue may bring a job twice; the handler runs once."""
    await bench.created()
    crew.does(said)
    delivery = await crew.taken()
    await crew.runner.run(delivery)

    outcome = await crew.runner.run(delivery)

    assert outcome.kind is DeliveryEnd.DONE
    assert len(crew.contexts) == 1


async def test_a_delivery_of_no_job_is_spent(crew: Crew) -> None:
    """Its job has expired, or never was."""
    outcome = await crew.runner.run(Delivery(job_id_of(1, "x"), "0-1", 1))

    assert outcome.kind is DeliveryEnd.DONE


async def test_a_job_that_another_worker_has_is_busy_until_its_lease_ends(
    bench: Bench, crew: Crew
) -> None:
    """At most one worker has a job."""
    job = await bench.created()
    crew.does(said)
    await bench.store.start(job.id, lease_s=30)

    outcome = await crew.runner.run(await crew.taken())

    assert outcome.kind is DeliveryEnd.BUSY
    assert outcome.delay_s == pytest.approx(30, abs=1)
    assert crew.contexts == []


async def test_the_last_report_is_written_with_the_end(bench: Bench, crew: Crew) -> None:
    """However quickly the handler was done."""

    async def reporting(context: JobContext) -> Said:
        for n in range(10):
            await context.progress(n, 20, note=f"row {n}")
        await context.step("count", index=1, total=2, label="Counting")
        raise JobFailed("no-rows", "There are no rows.")

    job = await bench.created()
    crew.does(reporting)
    await crew.runner.run(await crew.taken())

    done = await crew.job(job)
    assert (done.progress, done.message) == (45, "row 9")
    assert done.step is not None
    assert done.step.key == "count"


async def test_reports_are_seen_while_the_handler_runs_and_few_are_written(
    bench: Bench, crew: Crew
) -> None:
    """The first at once, then at most one each quarter of a second, the last one included."""
    go_on = asyncio.Event()

    async def reporting(context: JobContext) -> Said:
        for n in range(100):
            await context.progress(n, 200)
            await asyncio.sleep(0.002)
        await go_on.wait()
        return Said()

    job = await bench.created()
    running = asyncio.create_task(crew.does(reporting).runner.run(await crew.taken()))

    seen = await crew.until(job, lambda job: job.progress == 49)
    go_on.set()
    await running

    assert seen.version <= 6  # created, started, a few reports
    assert (await crew.job(job)).progress == 100


@pytest.mark.parametrize(
    ("failure", "code", "detail"),
    [
        (JobFailed("no-paper", "Fill the tray.", retryable=True), "no-paper", "Fill the tray."),
        (ValueError("secret"), "handler-error", None),
        (asyncio.CancelledError(), "handler-error", None),
    ],
)
async def test_a_failed_attempt_is_made_again_and_the_last_one_fails_the_job(
    bench: Bench, crew: Crew, failure: BaseException, code: str, detail: str | None
) -> None:
    """With growing pauses; nobody reads what a foreign exception says."""

    async def failing(_: JobContext) -> Said:
        raise failure

    job = await bench.created(max_attempts=3)
    crew.does(failing)
    delivery = await crew.taken()

    outcomes = [await crew.runner.run(delivery) for _ in range(3)]

    assert [outcome.kind for outcome in outcomes] == [
        DeliveryEnd.RETRY,
        DeliveryEnd.RETRY,
        DeliveryEnd.DONE,
    ]
    assert [outcome.delay_s for outcome in outcomes] == pytest.approx([0.1, 0.2, 0], abs=0.01)
    done = await crew.job(job)
    assert (done.status, done.attempt) == (JobStatus.FAILED, 3)
    assert done.error is not None
    assert (done.error.code, done.error.detail) == (code, detail)
    assert "secret" not in str(done)


async def test_a_failure_that_says_so_is_not_tried_again(bench: Bench, crew: Crew) -> None:
    """`retryable` is the handler's word."""

    async def failing(_: JobContext) -> Said:
        raise JobFailed("no-such-file", "The file is gone.")

    job = await bench.created(max_attempts=3)
    outcome = await crew.does(failing).runner.run(await crew.taken())

    assert outcome.kind is DeliveryEnd.DONE
    assert (await crew.job(job)).attempt == 1


async def test_an_attempt_that_takes_too_long_is_ended_and_counts(bench: Bench, crew: Crew) -> None:
    """The next attempt may be luckier."""
    job = await bench.created(max_attempts=2)
    crew.does(forever, timeout_s=0.1)
    delivery = await crew.taken()

    outcomes = [(await crew.runner.run(delivery)).kind for _ in range(2)]

    assert outcomes == [DeliveryEnd.RETRY, DeliveryEnd.DONE]
    done = await crew.job(job)
    assert done.error is not None
    assert (done.error.code, done.attempt) == ("timed-out", 2)
    assert crew.contexts[0].is_cancelled
    assert crew.contexts[0].left_s() == 0


async def test_a_cancel_elsewhere_ends_the_handler_with_the_next_heartbeat(
    bench: Bench, crew: Crew
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
    crew.does(tidy)
    bench.store.changes.listeners.clear()  # another process cancels
    running = asyncio.create_task(crew.runner.run(await crew.taken()))
    await crew.until(job, is_running)

    await bench.store.change(job.id, lambda job: job.cancel_asked(bench.now_ms))
    outcome = await running

    assert outcome.kind is DeliveryEnd.DONE
    assert (await crew.job(job)).status is JobStatus.CANCELED
    assert cleaned == [True]


async def test_a_cancel_of_the_same_process_needs_no_heartbeat(bench: Bench) -> None:
    """The write itself tells the runner."""
    crew = Crew(bench, lease_s=60).does(forever)
    crew.runner.timing = type(crew.runner.timing)(lease_s=60, heartbeat_s=60)
    job = await bench.created()
    running = asyncio.create_task(crew.runner.run(await crew.taken()))
    await crew.until(job, is_running)

    await bench.store.change(job.id, lambda job: job.cancel_asked(bench.now_ms))

    async with asyncio.timeout(2):
        assert (await running).kind is DeliveryEnd.DONE


async def test_a_worker_that_stops_hands_its_job_back_and_the_attempt_does_not_count(
    bench: Bench, crew: Crew
) -> None:
    """A deploy must not use up a job's attempts."""
    job = await bench.created()
    crew.does(forever)
    running = asyncio.create_task(crew.runner.run(await crew.taken()))
    await crew.until(job, is_running)

    crew.runner.stop()
    outcome = await running

    assert (outcome.kind, outcome.delay_s) == (DeliveryEnd.RETURNED, 0)
    back = await crew.job(job)
    assert (back.status, back.attempt) == (JobStatus.QUEUED, 0)


async def test_a_stop_that_comes_while_the_lease_is_taken_is_not_missed(
    bench: Bench, crew: Crew
) -> None:
    """The job goes back without its handler having begun."""
    bench.store.changes.listeners.append(lambda job: crew.runner.stop() if job.is_running else None)
    job = await bench.created()

    outcome = await crew.does(forever).runner.run(await crew.taken())

    assert outcome.kind is DeliveryEnd.RETURNED
    assert crew.contexts == []
    assert (await crew.job(job)).attempt == 0


async def test_a_handler_that_is_done_when_its_worker_stops_keeps_its_result(
    bench: Bench, crew: Crew
) -> None:
    """Work that is done is not thrown away."""

    async def stubborn(context: JobContext) -> Said:
        try:
            return await forever(context)
        except asyncio.CancelledError:
            return Said(text="just in time")

    job = await bench.created()
    crew.does(stubborn)
    running = asyncio.create_task(crew.runner.run(await crew.taken()))
    await crew.until(job, is_running)

    crew.runner.stop()

    assert (await running).kind is DeliveryEnd.DONE
    assert (await crew.job(job)).status is JobStatus.SUCCEEDED


async def test_a_worker_that_lost_its_lease_writes_nothing_more_and_keeps_off_the_delivery(
    bench: Bench, crew: Crew
) -> None:
    """What a zombie says is fenced, and its handler is ended with the next heartbeat."""
    job = await bench.created()
    crew.does(forever)
    bench.store.changes.listeners.clear()
    running = asyncio.create_task(crew.runner.run(await crew.taken()))
    await crew.until(job, is_running)

    bench.clock.advance(10)  # its lease ends before the next heartbeat
    started = await bench.store.start(job.id, lease_s=30)
    async with asyncio.timeout(5):
        outcome = await running

    assert outcome.kind is DeliveryEnd.LOST
    now = await crew.job(job)
    assert (now.status, now.attempt, now.version) == ("running", 2, started.job.version)


async def test_input_that_the_handler_does_not_understand_fails_the_job_and_names_the_fields(
    bench: Bench, crew: Crew
) -> None:
    """An older process took it in."""
    job = bench.job()
    await bench.store.create(job, '{"n":"many"}', idempotency=None, enqueue=True)

    await crew.does(said).runner.run(await crew.taken())

    done = await crew.job(job)
    assert done.error is not None
    assert done.error.code == "invalid-input"
    assert "input.n" in (done.error.detail or "")
    assert crew.contexts == []


class Other(BaseModel):
    pass


@pytest.mark.parametrize("wrong", [None, "text", Other()])
async def test_a_handler_that_returns_something_else_than_it_declares_has_failed(
    bench: Bench, crew: Crew, wrong: Any
) -> None:
    """Clients rely on the declared shape."""

    async def returning(_: JobContext) -> Any:
        return wrong

    job = await bench.created(max_attempts=1)
    await crew.does(returning).runner.run(await crew.taken())

    done = await crew.job(job)
    assert done.error is not None
    assert done.error.code == "handler-error"


async def test_a_result_that_is_too_large_fails_the_job_and_says_how_large_it_is(
    bench: Bench, crew: Crew
) -> None:
    """Trying again would not make it smaller."""

    async def talking(_: JobContext) -> Said:
        return Said(text="x" * RESULT_BYTES)

    job = await bench.created()
    outcome = await crew.does(talking).runner.run(await crew.taken())

    done = await crew.job(job)
    assert outcome.kind is DeliveryEnd.DONE
    assert done.error is not None
    assert done.error.code == "result-too-large"
    assert str(RESULT_BYTES) in (done.error.detail or "")


async def test_a_result_that_redis_refuses_for_its_size_fails_the_job_as_well(
    bench: Bench, crew: Crew
) -> None:
    """The plan's limit may be below ours."""

    async def talking(_: JobContext) -> Said:
        return Said(text="x" * 11_000_000)

    crew.runner.limits = JobLimits(result_bytes=20_000_000, receives=3)
    job = await bench.created()
    outcome = await crew.does(talking).runner.run(await crew.taken())

    done = await crew.job(job)
    assert outcome.kind is DeliveryEnd.DONE
    assert done.error is not None
    assert done.error.code == "result-too-large"


async def test_a_job_that_needs_more_time_than_is_left_is_not_begun(
    bench: Bench, crew: Crew
) -> None:
    """It keeps its attempt for a worker that has the time."""
    job = await bench.created()
    crew.does(said, timeout_s=60)
    shift = Shift(ends_at=time.monotonic() + 30, whole_s=120)

    outcome = await crew.runner.run(await crew.taken(), shift)

    assert outcome.kind is DeliveryEnd.RETURNED
    assert (await crew.job(job)).version == 1


async def test_a_job_that_needs_more_than_any_shift_has_a_whole_one_and_then_counts(
    bench: Bench, crew: Crew
) -> None:
    """Else it would be begun for ever, or never."""
    job = await bench.created(max_attempts=1)
    crew.does(forever, timeout_s=3600)
    shift = Shift(ends_at=time.monotonic() + 0.3, whole_s=0.3)

    outcome = await crew.runner.run(await crew.taken(), shift)

    done = await crew.job(job)
    assert outcome.kind is DeliveryEnd.DONE
    assert done.error is not None
    assert done.error.code == "timed-out"


async def test_a_type_that_this_process_does_not_know_waits_for_another(
    bench: Bench, crew: Crew
) -> None:
    """In a rolling deploy, old workers meet jobs of new types."""
    job = await bench.created()

    outcome = await crew.runner.run(await crew.taken())

    assert outcome.kind is DeliveryEnd.BUSY
    assert outcome.delay_s > 0
    assert (await crew.job(job)).version == 1


async def test_the_store_away_at_the_start_delays_the_job(
    upstash: UpstashServer, bench: Bench, crew: Crew
) -> None:
    """Nothing is known of it, so nothing is done to it."""
    job = await bench.created()
    crew.does(said)
    delivery = await crew.taken()

    upstash.faults(bad_gateway=-1)
    outcome = await crew.runner.run(delivery)
    upstash.clear_faults()

    assert outcome.kind is DeliveryEnd.BUSY
    assert (await crew.job(job)).version == 1


async def test_the_store_away_at_the_end_loses_no_result(
    upstash: UpstashServer, bench: Bench, crew: Crew
) -> None:
    """The worker insists until it is back."""

    async def talking(_: JobContext) -> Said:
        upstash.faults(bad_gateway=12)
        return Said(text="worth keeping")

    job = await bench.created()
    outcome = await crew.does(talking).runner.run(await crew.taken())
    upstash.clear_faults()

    assert outcome.kind is DeliveryEnd.DONE
    assert (await crew.job(job)).result == '{"text":"worth keeping"}'


async def test_a_job_that_was_delivered_too_often_without_an_end_is_dead(
    bench: Bench, crew: Crew
) -> None:
    """Its workers died of it, whatever its attempts are."""
    job = await bench.created(max_attempts=100)
    crew.does(said)
    delivery = await crew.taken()

    outcome = await crew.runner.run(Delivery(delivery.job_id, delivery.receipt, 4))

    assert outcome.kind is DeliveryEnd.DEAD
    done = await crew.job(job)
    assert done.error is not None
    assert (done.status, done.error.code) == ("failed", "worker-lost")
    assert crew.contexts == []


async def test_a_job_whose_attempts_all_killed_their_workers_is_dead(
    bench: Bench, crew: Crew
) -> None:
    """Also when its delivery comes again: it belongs to the dead."""
    job = await bench.created(max_attempts=1)
    crew.does(said)
    await bench.store.start(job.id, lease_s=1)
    bench.clock.advance(2)
    delivery = await crew.taken()

    kinds = [(await crew.runner.run(delivery)).kind for _ in range(2)]

    assert kinds == [DeliveryEnd.DEAD, DeliveryEnd.DEAD]
    done = await crew.job(job)
    assert done.error is not None
    assert done.error.code == "worker-lost"


async def test_a_cancel_counts_also_when_the_attempt_fails(bench: Bench, crew: Crew) -> None:
    """Nobody wants the next attempt."""
    seen = asyncio.Event()

    async def failing(_: JobContext) -> Said:
        await seen.wait()
        raise ValueError

    job = await bench.created()
    crew.does(failing)
    bench.store.changes.listeners.clear()
    crew.runner.timing = type(crew.runner.timing)(lease_s=60, heartbeat_s=60)
    running = asyncio.create_task(crew.runner.run(await crew.taken()))
    await crew.until(job, is_running)
    await bench.store.change(job.id, lambda job: job.cancel_asked(bench.now_ms))
    seen.set()
    outcome = await running

    assert outcome.kind is DeliveryEnd.DONE
    assert (await crew.job(job)).status is JobStatus.CANCELED


async def test_a_handler_that_does_not_stop_is_left_and_its_job_goes_on(
    bench: Bench, crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One bad handler does not hold up a worker."""
    monkeypatch.setattr("api.jobs.work.attempt.CLEAN_UP_S", 0.05)
    let_go = asyncio.Event()

    async def deaf(context: JobContext) -> Said:
        while not let_go.is_set():
            try:
                await let_go.wait()
            except asyncio.CancelledError:
                context.log.info("deaf")
        return Said()

    job = await bench.created(max_attempts=1)
    outcome = await crew.does(deaf, timeout_s=0.05).runner.run(await crew.taken())
    let_go.set()
    await asyncio.sleep(0.05)

    assert outcome.kind is DeliveryEnd.DONE
    assert (await crew.job(job)).status is JobStatus.FAILED
