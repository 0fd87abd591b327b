"""The jobs that this process has read or written lately, so that many polls cost few commands."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass

from api.jobs.model.job import Job, JobId
from api.jobs.store.store import JobChanges, JobStore

FRESH_S = 0.25  # how long a state is used again after it was read
MAX_JOBS = 10_000


@dataclass(frozen=True, slots=True)
class KnownJob:
    """A job as this process knows it, as it was at `at` seconds of the monotonic clock.

    `position` is how many jobs wait before it in the queue; None if it does not wait, or if the
    place was not looked up.
    """

    job: Job
    position: int | None
    at: float

    @property
    def lacks_position(self) -> bool:
        """Whether the job is queued, but its place in the queue was not looked up."""
        return self.job.is_queued and self.position is None


@dataclass(frozen=True, slots=True)
class _Reading:
    task: asyncio.Task[KnownJob | None]
    began: float


class JobCache:
    """Reads jobs for all requests of this process. Raises `RedisError` as the store does.

    A job that was read is used again for `FRESH_S` seconds, and callers who miss it at the same
    time share one read. What this process writes is cached at once, by `changes`. No caller is
    shown an older version than the cached one, which a replica that lags would return.
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
        """Cache a job that was read or written elsewhere.

        Return it, or the cached one if that is newer.
        """
        return self._note(KnownJob(job, None, self._monotonic()))

    def find_fresh(self, job_id: JobId) -> KnownJob | None:
        """Return the cached job; None if it was not read in the last `FRESH_S` seconds."""
        seen = self._seen.get(job_id)
        return seen if seen is not None and self._monotonic() - seen.at < FRESH_S else None

    async def get(
        self, job_id: JobId, *, since: float | None = None, at_least: int = 0
    ) -> KnownJob | None:
        """Return the job, from the cache or read anew; None if there is none.

        Without `at_least`, it is a state that was read after `since`, a time of the monotonic
        clock; None means `FRESH_S` seconds ago. With `at_least`, a version that is known to exist,
        any cached state of that version or a later one will do; a replica that lags may still give
        an older one. The position may be missing.
        """
        since = self._monotonic() - FRESH_S if since is None else since
        seen = self._seen.get(job_id)
        if seen is not None and seen.job.version >= at_least and (at_least or seen.at > since):
            return seen
        seen = await self._shared(job_id, since)
        if seen is not None and seen.job.version < at_least:
            seen = await self._shared(job_id, seen.at)  # that read had begun before the change
        return seen

    async def with_position(self, seen: KnownJob) -> KnownJob | None:
        """Return the job with its position in the queue, if it is queued; None if it is gone.

        It may be a newer state of the job.
        """
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
            reading.task.exception()  # looked at, because asyncio warns of one that nobody sees

    async def _read(self, job_id: JobId, began: float) -> KnownJob | None:
        known = self._seen.get(job_id)
        if known is not None and known.job.is_queued and not self._store.is_late(known.job):
            # A place in the queue proves that the job has not changed, so one command answers both.
            position = await self._store.position(known.job)
            if position is not None:
                return self._note(KnownJob(known.job, position, began))
        job = await self._store.find(job_id)
        if job is None:
            self._seen.pop(job_id, None)
            return None
        return self._note(KnownJob(job, None, began))

    def _note(self, seen: KnownJob) -> KnownJob:
        """Cache it unless something newer is cached; return what is cached then."""
        known = self._seen.get(seen.job.id)
        if known is not None and (known.job.version, known.at) > (seen.job.version, seen.at):
            return known
        self._seen[seen.job.id] = seen
        self._seen.move_to_end(seen.job.id)
        if len(self._seen) > MAX_JOBS:
            self._seen.popitem(last=False)
        return seen
