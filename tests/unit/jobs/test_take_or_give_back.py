"""What is taken from a queue is used or given back."""

from __future__ import annotations

import asyncio

import pytest

from api.jobs.model.queue import QueueError, take_or_give_back


async def test_what_came_for_a_caller_that_is_gone_is_given_back() -> None:
    """The answer is waited for, and the caller still ends as cancelled."""
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    given_back = []

    async def taking() -> str:
        return await answer

    async def give_back(text: str) -> None:
        given_back.append(text)

    caller = asyncio.create_task(take_or_give_back(taking(), give_back))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.sleep(0)
    assert not caller.done()
    answer.set_result("a job")

    with pytest.raises(asyncio.CancelledError):
        await caller
    assert given_back == ["a job"]


async def test_a_queue_that_fails_meanwhile_does_not_hide_the_cancel() -> None:
    """What it took then comes back by itself."""
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def taking() -> str:
        return await answer

    async def give_back(_: str) -> None:
        raise AssertionError

    caller = asyncio.create_task(take_or_give_back(taking(), give_back))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.sleep(0)
    answer.set_exception(QueueError("away"))

    with pytest.raises(asyncio.CancelledError):
        await caller
