"""Taking from a queue what cannot be untaken by not waiting for the answer."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from api.jobs.queue import QueueError
from api.upstash import RedisError

T = TypeVar("T")


async def uncut(taking: Awaitable[T], give_back: Callable[[T], Awaitable[None]]) -> T:
    """The result of `taking`. Cancelled, it still waits for that, gives it back, and ends."""
    task = asyncio.ensure_future(taking)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        # What fails now comes back by itself, when nobody has kept it alive.
        with suppress(RedisError, QueueError):
            await give_back(await task)
        raise
