"""What this process knows of jobs, so that many who poll cost little."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass

from api.jobs.model.job import Job, JobId
from api.jobs.store.store import JobChanges, JobStore

FRESH_S = 0.25
MAX_JOBS = 10_000


@dataclass(frozen=True, slots=True)
class KnownJob:
    """A job as this process knows it, as it was at `at` of the monotonic clock.

    `position` is how many jobs wait before it; None where it does not wait, or nobody looked.
    """

    job: Job
    position: int | None
    at: float

    @property
    def lacks_position(self) -> bool:
        """It is queued, and nobody looked for its place."""
        return self.job.is_queued and self.position is None


@dataclass(frozen=True, slots=True)
class _Reading:
    task: asyncio.Task[KnownJob | None]
    began: float


class JobCache:
    """Reads jobs for all who poll at this process. Raises `RedisError` as the store does.

    A job stays fresh for `FRESH_S`, and callers who miss it at the same time share one read. What
    this process writes is known at once, by `changes`. A job never goes back to an older version,
    as a replica that lags would have it.
    """

    def __init__(
        self, store: JobStore, changes: JobChanges, *, monotonic: Callable[[], float]
    ) -> None:
        self._store = store
        self._monotonic = monotonic
        self._seen: OrderedDict[JobId, KnownJob] = OrderedDict()
        self._readings: dict[JobId, _Reading] = {}
        changes.listeners.append(self.put)

    def put(self, job: Job) -> KnownJob:
        """Note what was read or written elsewhere; what is known then, which may be newer."""
        return self._note(KnownJob(job, None, self._monotonic()))

    def find_fresh(self, job_id: JobId) -> KnownJob | None:
        """What can be had without a command."""
        seen = self._seen.get(job_id)
        return seen if seen is not None and self._monotonic() - seen.at < FRESH_S else None

    async def get(
        self, job_id: JobId, *, since: float | None = None, at_least: int = 0
    ) -> KnownJob | None:
        """The job; None if there is none. Its position may be missing.

        It was read after `since`, by default `FRESH_S` ago; or, where somebody has already
        heard of the version `at_least`, it has that.
        """
        since = self._monotonic() - FRESH_S if since is None else since
        seen = self._seen.get(job_id)
        if seen is not None and seen.job.version >= at_least and (at_least or seen.at > since):
            return seen
        seen = await self._shared(job_id, since)
        if seen is not None and seen.job.version < at_least:
            seen = await self._shared(job_id, seen.at)  # it had begun before the change
        return seen

    async def with_position(self, seen: KnownJob) -> KnownJob | None:
        """The same with its position, if it is queued."""
        if not seen.lacks_position:
            return seen
        return await self._shared(seen.job.id, seen.at)

    async def _shared(self, job_id: JobId, since: float) -> KnownJob | None:
        reading = self._readings.get(job_id)
        if reading is None or reading.began <= since:
            # A task of its own: the caller who began it may go while others wait for it.
            loop = asyncio.get_running_loop()
            began = self._monotonic()
            task = loop.create_task(self._read(job_id, began), context=Context())
            reading = self._readings[job_id] = _Reading(task, began)
            task.add_done_callback(lambda _: self._finished(job_id, reading))
        return await asyncio.shield(reading.task)

    def _finished(self, job_id: JobId, reading: _Reading) -> None:
        if self._readings.get(job_id) is reading:
            del self._readings[job_id]
        if not reading.task.cancelled():
            reading.task.exception()  # perhaps nobody waits for it any more

    async def _read(self, job_id: JobId, began: float) -> KnownJob | None:
        known = self._seen.get(job_id)
        if known is not None and known.job.is_queued and not self._store.is_late(known.job):
            # Its place in the queue proves as well that it has not changed.
            position = await self._store.position(known.job)
            if position is not None:
                return self._note(KnownJob(known.job, position, began))
        job = await self._store.find(job_id)
        if job is None:
            self._seen.pop(job_id, None)
            return None
        return self._note(KnownJob(job, None, began))

    def _note(self, seen: KnownJob) -> KnownJob:
        """Keep it, unless something newer is known."""
        known = self._seen.get(seen.job.id)
        if known is not None and (known.job.version, known.at) > (seen.job.version, seen.at):
            return known
        self._seen[seen.job.id] = seen
        self._seen.move_to_end(seen.job.id)
        if len(self._seen) > MAX_JOBS:
            self._seen.popitem(last=False)
        return seen
