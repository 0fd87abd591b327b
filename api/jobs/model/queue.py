"""The queue that brings jobs to workers, and how a delivery is finished.

A queue may bring a job twice: the lease in the store decides which worker does it.
"""

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
    """One job that the queue has handed to one worker.

    `receipt` is the queue's own name for the delivery. `receives` counts how often the queue has
    delivered this entry, this time included.
    """

    job_id: JobId
    receipt: str
    receives: int


class QueueError(Exception):
    """Raised when a queue outside of Redis does not answer or refuses a request."""


class JobQueue(Protocol):
    """Brings the ids of jobs to workers; there is one on Redis and one on SQS.

    Every method raises `RedisError` or `QueueError` when the queue fails.
    """

    async def enqueue(self, job_id: JobId, *, delay_s: float = 0) -> None:
        """Have the job delivered to some worker, after `delay_s` seconds at the earliest."""

    async def claim(self, limit: int, *, wait_s: float) -> Sequence[Delivery]:
        """Return up to `limit` deliveries, those that dead workers left included.

        Waits up to `wait_s` seconds for the first one; an empty answer means that none came. When
        cancelled, it gives back what it has received.
        """

    async def heartbeat(self, delivery: Delivery, *, lease_s: float) -> None:
        """Keep the delivery from other workers for `lease_s` more seconds."""

    async def release(self, delivery: Delivery, *, delay_s: float) -> None:
        """Give the delivery back, to be delivered again after `delay_s` seconds at the earliest."""

    async def done(self, delivery: Delivery) -> None:
        """Remove the delivery from the queue: the job needs no other one."""

    async def to_dead_letters(self, delivery: Delivery) -> None:
        """Put the delivery with the dead letters, for operators: no worker has survived it."""


class DeliveryEnd(StrEnum):
    """How a delivery ended; the values are labels of a metric."""

    DONE = "done"
    """The job needs no other delivery."""
    RETRY = "retry"
    """The attempt failed, and the job is delivered again for the next one."""
    BUSY = "busy"
    """No attempt can begin: another worker has the job, its type is unknown, or Redis fails."""
    RETURNED = "returned"
    """This worker stops or has too little time; the job is delivered again."""
    DEAD = "dead"
    """Too many workers died with the job: it has failed, and goes to the dead letters."""
    LOST = "lost"
    """Another worker has the job, or the end could not be written: nothing is told to the queue."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a delivery ended, and so what the queue is told of it.

    A delivery that is given back comes again after `delay_s` seconds.
    """

    end: DeliveryEnd
    delay_s: float = 0.0


def outcome_without_attempt(job: Job | None) -> Outcome:
    """Return the outcome for a job that needs no attempt: it is done, or is gone (None).

    If the job failed because its workers died, its delivery goes to the dead letters.
    """
    is_killer = job is not None and job.error is not None and job.error.code == WORKER_LOST.code
    return Outcome(DeliveryEnd.DEAD if is_killer else DeliveryEnd.DONE)


async def finish_delivery(queue: JobQueue, delivery: Delivery, outcome: Outcome) -> None:
    """Tell the queue that the delivery is done, dead or given back, as `outcome` says.

    After `DeliveryEnd.LOST` it does nothing. Raises as the methods of `JobQueue`.
    """
    if outcome.end is DeliveryEnd.DONE:
        await queue.done(delivery)
    elif outcome.end is DeliveryEnd.DEAD:
        await queue.to_dead_letters(delivery)
    elif outcome.end is not DeliveryEnd.LOST:
        await queue.release(delivery, delay_s=outcome.delay_s)


async def take_or_give_back(taking: Awaitable[T], give_back: Callable[[T], Awaitable[None]]) -> T:
    """Return the result of `taking`, and lose no delivery if the caller is cancelled meanwhile.

    `taking` is a request that the queue carries out even if nobody waits for its answer. On a
    cancellation this still waits for the answer and hands it to `give_back`; then it raises
    `CancelledError`.
    """
    task = asyncio.ensure_future(taking)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        # If this fails, the queue delivers again when no heartbeat has come for long enough.
        with suppress(RedisError, QueueError):
            await give_back(await task)
        raise
