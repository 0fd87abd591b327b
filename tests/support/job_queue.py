"""A queue of jobs outside of Redis, of which tests see what it was sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from api.jobs import Delivery, JobId, QueueError
from tests.support.instances import Instance


class SentJobs:
    """It does not answer `failures` times, and always breaks for the job `breaks_for`."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.breaks_for: JobId | None = None
        self.jobs: list[JobId] = []

    async def enqueue(self, job_id: JobId, *, delay_s: float = 0) -> None:
        if job_id == self.breaks_for:
            raise RuntimeError("a bug")
        if self.failures:
            self.failures -= 1
            raise QueueError
        self.jobs.append(job_id)

    async def claim(self, limit: int, *, wait_s: float) -> Sequence[Delivery]:
        return ()

    async def release(self, delivery: Delivery, *, delay_s: float) -> None:
        await self.enqueue(delivery.job_id, delay_s=delay_s)

    async def heartbeat(self, delivery: Delivery, *, lease_s: float) -> None: ...
    async def done(self, delivery: Delivery) -> None: ...
    async def to_dead_letters(self, delivery: Delivery) -> None: ...


def queue_elsewhere(instance: Instance, failures: int = 0) -> SentJobs:
    """Have the instance's jobs go through a queue outside of Redis."""
    service = instance.services.jobs.service
    service.queue = queue = SentJobs(failures)
    service.store.writes = replace(service.store.writes, queue_is_elsewhere=True)
    return queue
