"""One attempt: what the handler reports, and each way in which it may end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

from api.jobs.model.handlers import JobContext, JobFailed
from api.jobs.model.job import JobStatus
from api.jobs.model.queue import DeliveryEnd
from api.jobs.work.runner import JobLimits
from tests.integration.jobs.bench import Bench
from tests.integration.jobs.process import (
    RESULT_BYTES,
    Process,
    Said,
    forever,
    is_running,
    said,
)
from tests.support.upstash_server import UpstashServer

pytestmark = pytest.mark.usefixtures("unwritten_logs")


async def test_the_last_report_is_written_with_the_end(bench: Bench, process: Process) -> None:
    """However quickly the handler was done."""

    async def reporting(context: JobContext) -> Said:
        for n in range(10):
            await context.progress(n, 20, note=f"row {n}")
        await context.step("count", index=1, total=2, label="Counting")
        raise JobFailed("no-rows", "There are no rows.")

    job = await bench.created()
    process.does(reporting)
    await process.runner.run(await process.taken())

    done = await process.job(job)
    assert (done.progress, done.message) == (45, "row 9")
    assert done.step is not None
    assert done.step.key == "count"


async def test_reports_are_seen_while_the_handler_runs_and_few_are_written(
    bench: Bench, process: Process
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
    running = asyncio.create_task(process.does(reporting).runner.run(await process.taken()))

    seen = await process.until(job, lambda job: job.progress == 49)
    go_on.set()
    await running

    assert seen.version <= 6  # created, started, a few reports
    assert (await process.job(job)).progress == 100


@pytest.mark.parametrize(
    ("failure", "code", "detail"),
    [
        (JobFailed("no-paper", "Fill the tray.", retryable=True), "no-paper", "Fill the tray."),
        (ValueError("secret"), "handler-error", None),
        (asyncio.CancelledError(), "handler-error", None),
    ],
)
async def test_a_failed_attempt_is_made_again_and_the_last_one_fails_the_job(
    bench: Bench, process: Process, failure: BaseException, code: str, detail: str | None
) -> None:
    """With growing pauses; nobody reads what a foreign exception says."""

    async def failing(_: JobContext) -> Said:
        raise failure

    job = await bench.created(max_attempts=3)
    process.does(failing)
    delivery = await process.taken()

    outcomes = [await process.runner.run(delivery) for _ in range(3)]

    assert [outcome.end for outcome in outcomes] == [
        DeliveryEnd.RETRY,
        DeliveryEnd.RETRY,
        DeliveryEnd.DONE,
    ]
    assert [outcome.delay_s for outcome in outcomes] == pytest.approx([0.1, 0.2, 0], abs=0.01)
    done = await process.job(job)
    assert (done.status, done.attempt) == (JobStatus.FAILED, 3)
    assert done.error is not None
    assert (done.error.code, done.error.detail) == (code, detail)
    assert "secret" not in str(done)


async def test_a_failure_that_says_so_is_not_tried_again(bench: Bench, process: Process) -> None:
    """`retryable` is the handler's word."""

    async def failing(_: JobContext) -> Said:
        raise JobFailed("no-such-file", "The file is gone.")

    job = await bench.created(max_attempts=3)
    outcome = await process.does(failing).runner.run(await process.taken())

    assert outcome.end is DeliveryEnd.DONE
    assert (await process.job(job)).attempt == 1


async def test_an_attempt_that_takes_too_long_is_ended_and_counts(
    bench: Bench, process: Process
) -> None:
    """The next attempt may be luckier."""
    job = await bench.created(max_attempts=2)
    process.does(forever, timeout_s=0.1)
    delivery = await process.taken()

    outcomes = [(await process.runner.run(delivery)).end for _ in range(2)]

    assert outcomes == [DeliveryEnd.RETRY, DeliveryEnd.DONE]
    done = await process.job(job)
    assert done.error is not None
    assert (done.error.code, done.attempt) == ("timed-out", 2)
    assert process.contexts[0].is_cancelled
    assert process.contexts[0].left_s() == 0


async def test_input_that_the_handler_does_not_understand_fails_the_job_and_names_the_fields(
    bench: Bench, process: Process
) -> None:
    """An older process took it in."""
    job = bench.job()
    await bench.store.create(job, '{"n":"many"}', idempotency=None, enqueue=True)

    await process.does(said).runner.run(await process.taken())

    done = await process.job(job)
    assert done.error is not None
    assert done.error.code == "invalid-input"
    assert "input.n" in (done.error.detail or "")
    assert process.contexts == []


class Other(BaseModel):
    pass


@pytest.mark.parametrize("wrong", [None, "text", Other()])
async def test_a_handler_that_returns_something_else_than_it_declares_has_failed(
    bench: Bench, process: Process, wrong: Any
) -> None:
    """Clients rely on the declared shape."""

    async def returning(_: JobContext) -> Any:
        return wrong

    job = await bench.created(max_attempts=1)
    await process.does(returning).runner.run(await process.taken())

    done = await process.job(job)
    assert done.error is not None
    assert done.error.code == "handler-error"


async def test_a_result_that_is_too_large_fails_the_job_and_says_how_large_it_is(
    bench: Bench, process: Process
) -> None:
    """Trying again would not make it smaller."""

    async def talking(_: JobContext) -> Said:
        return Said(text="x" * RESULT_BYTES)

    job = await bench.created()
    outcome = await process.does(talking).runner.run(await process.taken())

    done = await process.job(job)
    assert outcome.end is DeliveryEnd.DONE
    assert done.error is not None
    assert done.error.code == "result-too-large"
    assert str(RESULT_BYTES) in (done.error.detail or "")


async def test_a_result_that_redis_refuses_for_its_size_fails_the_job_as_well(
    bench: Bench, process: Process
) -> None:
    """The plan's limit may be below ours."""

    async def talking(_: JobContext) -> Said:
        return Said(text="x" * 11_000_000)

    process.runner.limits = JobLimits(result_bytes=20_000_000, receives=3)
    job = await bench.created()
    outcome = await process.does(talking).runner.run(await process.taken())

    done = await process.job(job)
    assert outcome.end is DeliveryEnd.DONE
    assert done.error is not None
    assert done.error.code == "result-too-large"


async def test_the_store_away_at_the_end_loses_no_result(
    upstash: UpstashServer, bench: Bench, process: Process
) -> None:
    """The worker insists until it is back."""

    async def talking(_: JobContext) -> Said:
        upstash.faults(bad_gateway=12)
        return Said(text="worth keeping")

    job = await bench.created()
    outcome = await process.does(talking).runner.run(await process.taken())
    upstash.clear_faults()

    assert outcome.end is DeliveryEnd.DONE
    assert (await process.job(job)).result == '{"text":"worth keeping"}'


async def test_a_handler_that_does_not_stop_is_left_and_its_job_goes_on(
    bench: Bench, process: Process, monkeypatch: pytest.MonkeyPatch
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
    outcome = await process.does(deaf, timeout_s=0.05).runner.run(await process.taken())
    let_go.set()
    await asyncio.sleep(0.05)

    assert outcome.end is DeliveryEnd.DONE
    assert (await process.job(job)).status is JobStatus.FAILED


async def test_a_cancel_counts_also_when_the_attempt_fails(bench: Bench, process: Process) -> None:
    """Nobody wants the next attempt."""
    seen = asyncio.Event()

    async def failing(_: JobContext) -> Said:
        await seen.wait()
        raise ValueError

    job = await bench.created()
    process.does(failing)
    bench.store.changes.listeners.clear()
    process.runner.timing = type(process.runner.timing)(lease_s=60, heartbeat_s=60)
    running = asyncio.create_task(process.runner.run(await process.taken()))
    await process.until(job, is_running)
    await bench.store.change(job.id, lambda job: job.cancel_asked(bench.now_ms))
    seen.set()
    outcome = await running

    assert outcome.end is DeliveryEnd.DONE
    assert (await process.job(job)).status is JobStatus.CANCELED
