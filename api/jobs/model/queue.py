"""What brings jobs to workers. It may bring one twice: the fence in the store decides."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar

from api.jobs.model.job import WORKER_LOST, Job, JobId
from api.upstash import RedisError


@dataclass(frozen=True, slots=True)
class Delivery:
    """One job handed to one worker. `receives` counts how often it was, this time included."""

    job_id: JobId
    receipt: str
    receives: int


class QueueError(Exception):
    """A queue outside of Redis did not do its part."""


class JobQueue(Protocol):
    """Every method raises `RedisError` or `QueueError` when the queue fails."""

    async def enqueue(self, job_id: JobId, *, delay_s: float = 0) -> None:
        """Deliver the job to some worker, not before `delay_s`."""

    async def claim(self, limit: int, *, wait_s: float) -> Sequence[Delivery]:
        """Up to `limit` deliveries, those of dead workers included; waits for the first.

        Cancelled, it gives back what it has received.
        """

    async def heartbeat(self, delivery: Delivery, *, lease_s: float) -> None:
        """Keep the delivery from others for `lease_s` more."""

    async def release(self, delivery: Delivery, *, delay_s: float) -> None:
        """Give it back, to be delivered again, not before `delay_s`."""

    async def done(self, delivery: Delivery) -> None:
        """It needs no other delivery."""

    async def bury(self, delivery: Delivery) -> None:
        """No worker survives it: put it aside, where operators look."""


class DeliveryEnd(StrEnum):
    DONE = "done"
    """It is spent."""
    RETRY = "retry"
    """Another attempt will be made."""
    BUSY = "busy"
    """Nothing can be begun now: another worker has the job, or the store is away."""
    RETURNED = "returned"
    """This worker had no time for it."""
    DEAD = "dead"
    """It kills its workers."""
    LOST = "lost"
    """It is another worker's by now, or the end could not be written: leave it alone."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One that is to come again does so after `delay_s`."""

    kind: DeliveryEnd
    delay_s: float = 0.0


def spent(job: Job | None) -> Outcome:
    """Of a job that needs no attempt. One that killed its workers takes the delivery with it."""
    is_killer = job is not None and job.error is not None and job.error.code == WORKER_LOST.code
    return Outcome(DeliveryEnd.DEAD if is_killer else DeliveryEnd.DONE)


async def finish_delivery(queue: JobQueue, delivery: Delivery, outcome: Outcome) -> None:
    """Do to the delivery what the outcome says. Raises as the queue."""
    if outcome.kind is DeliveryEnd.DONE:
        await queue.done(delivery)
    elif outcome.kind is DeliveryEnd.DEAD:
        await queue.bury(delivery)
    elif outcome.kind is not DeliveryEnd.LOST:
        await queue.release(delivery, delay_s=outcome.delay_s)


T = TypeVar("T")


async def take_or_give_back(taking: Awaitable[T], give_back: Callable[[T], Awaitable[None]]) -> T:
    """The result of `taking`. Cancelled, it still waits for that, gives it back, and ends."""
    task = asyncio.ensure_future(taking)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        # What fails now comes back by itself, when nobody has kept it alive.
        with suppress(RedisError, QueueError):
            await give_back(await task)
        raise
