"""What is to become of a delivery, once its job was looked at or worked on."""

from dataclasses import dataclass
from enum import StrEnum

from api.jobs.job import Job
from api.jobs.queue import Delivery, JobQueue
from api.jobs.store import WORKER_LOST


class Kind(StrEnum):
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

    kind: Kind
    delay_s: float = 0.0


def spent(job: Job | None) -> Outcome:
    """Of a job that needs no attempt. One that killed its workers takes the delivery with it."""
    is_killer = job is not None and job.error is not None and job.error.code == WORKER_LOST.code
    return Outcome(Kind.DEAD if is_killer else Kind.DONE)


async def settle(queue: JobQueue, delivery: Delivery, outcome: Outcome) -> None:
    """Do to the delivery what the outcome says. Raises as the queue."""
    if outcome.kind is Kind.DONE:
        await queue.done(delivery)
    elif outcome.kind is Kind.DEAD:
        await queue.bury(delivery)
    elif outcome.kind is not Kind.LOST:
        await queue.release(delivery, delay_s=outcome.delay_s)
