"""What code that is not ours raises, and what the rest of the process sees of it."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from api.foreign_code import ForeignError, contained, result_of
from tests.support.foreign_errors import ends

Work = Callable[[], Awaitable[object]]


def raising(error: BaseException) -> Work:
    async def work() -> None:
        await asyncio.sleep(0)
        raise error

    return work


async def sleeping() -> None:
    with contained():
        await asyncio.sleep(3600)


async def in_a_group(work: Work) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(work())  # type: ignore[arg-type]


@pytest.mark.parametrize("error", ends(), ids=lambda one: type(one).__name__)
async def test_what_is_no_exception_becomes_one(error: BaseException) -> None:
    """With what was raised as its cause, so that logs can say where."""
    with pytest.raises(ForeignError) as caught, contained():
        await raising(error)()

    assert caught.value.__cause__ is error


def test_code_that_awaits_nothing_is_contained_too() -> None:
    """A model's validators run outside of any event loop as well."""
    with pytest.raises(ForeignError), contained():
        sys.exit(3)


async def test_an_exception_stays_what_it_is() -> None:
    """Those who call know how to tell these apart."""
    with pytest.raises(KeyError), contained():
        await raising(KeyError("x"))()


async def test_a_cancel_from_outside_is_not_swallowed() -> None:
    """The task ends as cancelled, so whoever cancelled it can wait for that."""
    task = asyncio.create_task(sleeping())
    await asyncio.sleep(0)

    task.cancel()
    await asyncio.wait([task])

    assert task.cancelled()


async def test_a_time_out_around_foreign_code_stays_a_time_out() -> None:
    """`asyncio.timeout` cancels, and takes that back."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await sleeping()


async def test_a_coroutine_that_nobody_awaits_any_more_is_closed_in_silence() -> None:
    """The end of a loop closes what is left, and that is no failure of the code."""
    task = asyncio.create_task(sleeping())
    await asyncio.sleep(0)
    coroutine: Any = task.get_coro()

    coroutine.close()

    task.cancel()
    await asyncio.wait([task])
    task.exception()


@pytest.mark.parametrize(
    "spread",
    [
        lambda: asyncio.gather(raising(SystemExit(3))()),
        lambda: in_a_group(raising(KeyboardInterrupt())),
        lambda: asyncio.create_task(raising(SystemExit(3))()),  # type: ignore[arg-type]
        lambda: asyncio.to_thread(sys.exit, 3),
    ],
    ids=["gather", "group", "task", "thread"],
)
async def test_tasks_of_foreign_code_do_not_end_the_loop(
    spread: Callable[[], Awaitable[object]],
) -> None:
    """asyncio ends its loop for a task that exits, whoever waits for that task."""

    async def work() -> None:
        await spread()

    run = asyncio.create_task(result_of(work))
    await asyncio.wait([run])

    assert isinstance(run.exception(), (ForeignError, ExceptionGroup))


async def test_tasks_of_ours_are_made_as_before() -> None:
    """Only what foreign code begins is contained; the loop's own tasks keep their coroutines."""
    await asyncio.create_task(result_of(asyncio.sleep, 0))
    ours = asyncio.sleep(0)

    task = asyncio.create_task(ours, name="ours")
    await task

    assert (task.get_name(), task.get_coro()) == ("ours", ours)


async def test_a_task_of_foreign_code_shows_its_coroutine() -> None:
    """Logs name it, and libraries ask for its state."""

    async def work() -> tuple[str, str]:
        task = asyncio.create_task(sleeping())
        await asyncio.sleep(0)
        coroutine: Any = task.get_coro()
        seen = coroutine.__name__, inspect.getcoroutinestate(coroutine)
        task.cancel()
        return seen

    assert await result_of(work) == ("sleeping", inspect.CORO_SUSPENDED)


async def test_a_task_that_is_cancelled_before_it_begins_leaves_nothing_behind() -> None:
    """As with tasks of ours; a coroutine that was never awaited would be a warning."""

    async def work() -> None:
        asyncio.create_task(sleeping()).cancel()
        await asyncio.sleep(0)

    await result_of(work)


async def test_foreign_tasks_return_what_they_return_and_can_be_cancelled() -> None:
    """They differ from others by nothing but how they fail."""

    async def work() -> tuple[bool, str]:
        stopped = asyncio.create_task(sleeping())
        await asyncio.sleep(0)
        stopped.cancel()
        await asyncio.wait([stopped])
        return stopped.cancelled(), await asyncio.create_task(asyncio.sleep(0, "result"))

    assert await result_of(work) == (True, "result")
