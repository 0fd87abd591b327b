"""Handlers, models and reports that do what they must not: each job has an end all the same."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, field_serializer, field_validator

from api.jobs.model.handlers import JobContext, JobFailed, job
from api.jobs.model.job import Job, JobStatus
from api.jobs.model.queue import DeliveryEnd
from tests.integration.jobs.bench import Bench
from tests.integration.jobs.process import Nothing, Process, Said
from tests.support.foreign_errors import Panic, ends

Body = Callable[[JobContext], Awaitable[Any]]
LONE = "a\udcffb"
PLAIN = "a\ufffdb"


pytestmark = pytest.mark.usefixtures("unwritten_logs")


async def ended(bench: Bench, process: Process) -> Job:
    """What becomes of a job with one attempt; its end is written, and its delivery spent."""
    made = await bench.created(max_attempts=1)
    outcome = await process.runner.run(await process.taken())
    assert outcome.end is DeliveryEnd.DONE
    return await process.job(made)


def code_of(done: Job) -> str:
    assert done.status is JobStatus.FAILED
    assert done.error is not None
    return done.error.code


@pytest.mark.parametrize("error", ends(), ids=lambda one: type(one).__name__)
async def test_whatever_a_handler_raises_is_a_failed_attempt(
    bench: Bench, process: Process, error: BaseException
) -> None:
    """Neither the process nor the other jobs see anything of it."""

    async def raising(_: JobContext) -> Said:
        await asyncio.sleep(0)
        raise error

    assert code_of(await ended(bench, process.does(raising))) == "handler-error"


async def test_a_task_of_a_handler_that_exits_is_a_failed_attempt(
    bench: Bench, process: Process
) -> None:
    """asyncio ends its loop for a task that exits, so the handler's own must not."""

    async def leave() -> None:
        sys.exit(3)

    async def spreading(_: JobContext) -> Said:
        await asyncio.gather(leave(), asyncio.sleep(0))
        return Said()

    assert code_of(await ended(bench, process.does(spreading))) == "handler-error"


@pytest.mark.parametrize("error", [RuntimeError("x"), SystemExit(3), Panic()])
async def test_an_input_model_that_fails_is_a_failed_attempt(
    bench: Bench, process: Process, error: BaseException
) -> None:
    """Its validators are a team's own code as much as the handler is."""

    class Picky(BaseModel):
        n: int = 1

        @field_validator("n")
        @classmethod
        def check(cls, _: int) -> int:
            raise error

    @job("report", input=Picky, result=Said)
    async def handler(_: JobContext, __: Picky) -> Said:
        return Said()

    process.registry.add(handler)
    assert code_of(await ended(bench, process)) == "handler-error"


class Odd(BaseModel):
    """A result that does what the test says when it is written as JSON."""

    model_config = ConfigDict(ser_json_inf_nan="constants")
    value: Any

    @field_serializer("value")
    def write(self, value: Any) -> Any:
        if isinstance(value, BaseException):
            raise value
        return value


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), LONE, object(), SystemExit(3), Panic(), deep(2000)],
    ids=["nan", "inf", "surrogate", "object", "exit", "panic", "depth"],
)
async def test_a_result_that_is_no_json_is_a_failed_attempt(
    bench: Bench, process: Process, value: Any
) -> None:
    """A client that reads the job must be able to parse it."""

    @job("report", input=Nothing, result=Odd)
    async def handler(_: JobContext, __: Nothing) -> Odd:
        return Odd(value=value)

    process.registry.add(handler)
    assert code_of(await ended(bench, process)) == "handler-error"


async def test_a_result_of_several_lines_is_stored_on_one(bench: Bench, process: Process) -> None:
    """A line break would end a line of Server-Sent Events."""

    class Pretty(BaseModel):
        huge: int = 10**30

        def model_dump_json(self, **options: Any) -> str:
            return super().model_dump_json(indent=2, **options)

    @job("report", input=Nothing, result=Pretty)
    async def handler(_: JobContext, __: Nothing) -> Pretty:
        return Pretty()

    process.registry.add(handler)
    assert (await ended(bench, process)).result == f'{{"huge":{10**30}}}'


async def test_text_that_utf_8_cannot_hold_is_replaced(bench: Bench, process: Process) -> None:
    """As decoders do it, by U+FFFD; the job goes on to its end."""

    async def reporting(context: JobContext) -> Said:
        await context.progress(1, 2, note=LONE)
        await context.step(LONE, index=1, total=2, label=LONE)
        await context.message(LONE)
        raise JobFailed(LONE, LONE)

    done = await ended(bench, process.does(reporting))

    assert code_of(done) == PLAIN
    assert done.error is not None
    assert done.step is not None
    assert (done.error.detail, done.message) == (PLAIN, PLAIN)
    assert (done.step.key, done.step.label) == (PLAIN, PLAIN)


async def test_long_texts_are_cut_so_that_the_job_can_be_written(
    bench: Bench, process: Process
) -> None:
    """The store refuses what is too large, and then there would be no end."""

    async def reporting(context: JobContext) -> Said:
        await context.step("k" * 5000, index=1, total=2, label="l" * 5000)
        await context.message("m" * 5000)
        raise JobFailed("c" * 5000, "d" * 5000)

    done = await ended(bench, process.does(reporting))

    assert done.error is not None
    assert done.step is not None
    assert [len(one) for one in (done.step.key, done.step.label, done.message or "")] == [200] * 3
    assert (len(done.error.code), len(done.error.detail or "")) == (200, 2000)


wrong: Any = object()
MISUSES: list[Body] = [
    lambda context: context.message(wrong),
    lambda context: context.progress(wrong, 1),
    lambda context: context.progress(1, wrong),
    lambda context: context.progress(1, 2, note=wrong),
    lambda context: context.step(wrong, index=1, total=1, label="x"),
    lambda context: context.step("x", index=1, total=1, label=wrong),
    lambda context: context.step("x", index=wrong, total=1, label="x"),
    lambda context: context.step("x", index=1, total=float("nan"), label="x"),  # type: ignore[arg-type]
    lambda context: context.step("x", index=1, total=10**400, label="x"),
]


@pytest.mark.parametrize("misuse", MISUSES, ids=range(len(MISUSES)))
async def test_a_report_of_a_wrong_type_is_refused_where_it_is_made(
    bench: Bench, process: Process, misuse: Body
) -> None:
    """A handler that catches the error goes on, and its job has the end that it gives it."""

    async def reporting(context: JobContext) -> Said:
        with pytest.raises((TypeError, ValueError)):
            await misuse(context)
        return Said()

    assert (await ended(bench, process.does(reporting))).status is JobStatus.SUCCEEDED


async def test_an_end_that_cannot_be_written_is_replaced_by_one_that_can(
    bench: Bench, process: Process
) -> None:
    """Nothing that a handler leaves behind may leave its job running until its lease ends."""

    class Broken(JobFailed):
        def __init__(self) -> None:
            """It has neither code nor detail."""

    async def failing(context: JobContext) -> Said:
        context.report.message = wrong
        context.report.news.set()
        raise Broken

    done = await ended(bench, process.does(failing))

    assert code_of(done) == "handler-error"
    assert done.error is not None
    assert done.error.ref
