"""What brings jobs to workers. It may bring one twice: the fence in the store decides."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from api.jobs.job import JobId


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
