"""What brings jobs to workers. It may bring one twice: the lease in the store decides."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeVar

from api.jobs.model.job import WORKER_LOST, Job, JobId
from api.upstash import RedisError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Delivery:
    """One job handed to one worker.

    `receipt` is the queue's own name for the delivery. `receives` counts how often the queue has
    delivered this entry, this time included.
    """

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

    async def to_dead_letters(self, delivery: Delivery) -> None:
        """No worker survives it: put it with the dead letters, where operators look."""


class DeliveryEnd(StrEnum):
    """How a delivery ended; the values are labels of a metric."""

    DONE = "done"
    """The job needs no other delivery."""
    RETRY = "retry"
    """Another attempt will be made."""
    BUSY = "busy"
    """Nothing can be begun now: another worker has the job, or the store is away."""
    RETURNED = "returned"
    """This worker had no time for it."""
    DEAD = "dead"
    """The job kills its workers."""
    LOST = "lost"
    """It is another worker's by now, or the end could not be written: leave it alone."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is to become of a delivery. One that is to come again does so after `delay_s`."""

    end: DeliveryEnd
    delay_s: float = 0.0


def outcome_without_attempt(job: Job | None) -> Outcome:
    """The outcome for a job that is done, or is not there.

    A job that killed its workers has its delivery put with the dead letters, too.
    """
    is_killer = job is not None and job.error is not None and job.error.code == WORKER_LOST.code
    return Outcome(DeliveryEnd.DEAD if is_killer else DeliveryEnd.DONE)


async def finish_delivery(queue: JobQueue, delivery: Delivery, outcome: Outcome) -> None:
    """Do to the delivery what the outcome says. Raises as the queue."""
    if outcome.end is DeliveryEnd.DONE:
        await queue.done(delivery)
    elif outcome.end is DeliveryEnd.DEAD:
        await queue.to_dead_letters(delivery)
    elif outcome.end is not DeliveryEnd.LOST:
        await queue.release(delivery, delay_s=outcome.delay_s)


async def take_or_give_back(taking: Awaitable[T], give_back: Callable[[T], Awaitable[None]]) -> T:
    """The result of `taking`, which a queue executes even if nobody waits for its answer.

    When the caller is cancelled, this still waits for the answer and hands it to `give_back`, so
    that no delivery is lost with the caller; then it raises `CancelledError`.
    """
    task = asyncio.ensure_future(taking)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        # What fails now comes back by itself, when nobody has kept it alive.
        with suppress(RedisError, QueueError):
            await give_back(await task)
        raise
