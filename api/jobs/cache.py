"""What this process knows of jobs, so that many who poll cost little."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass

from api.jobs.job import Job, JobId
from api.jobs.store import JobStore

FRESH_S = 0.25
MAX_JOBS = 10_000


@dataclass(frozen=True, slots=True)
class Seen:
    """A job as it was at `at`, in seconds. `position` is None where nobody looked for it."""

    job: Job
    position: int | None
    at: float

    @property
    def lacks_position(self) -> bool:
        return self.job.is_queued and self.position is None


class JobCache:
    """Reads jobs for all pollers of a process. Raises `RedisError` as the store does.

    A job stays fresh for `FRESH_S`. Those who miss at the same time share one read. A job
    never goes back to an older version, as from a replica that lags.
    """

    def __init__(self, store: JobStore, *, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._seen: OrderedDict[JobId, Seen] = OrderedDict()
        self._reads: dict[JobId, asyncio.Task[Seen | None]] = {}

    def put(self, job: Job) -> None:
        """Note what this process has written itself."""
        self._note(Seen(job, None, self._clock()))

    async def get(self, job_id: JobId, *, at_least: int = 0) -> Seen | None:
        """The job; None if there is none. No older than `FRESH_S`, or of version `at_least`.

        Its position may be missing.
        """
        seen = self._seen.get(job_id)
        is_enough = seen is not None and 0 < at_least <= seen.job.version
        if is_enough or (seen is not None and not at_least and self._is_fresh(seen)):
            return seen
        was_reading = job_id in self._reads
        seen = await self._shared(job_id)
        if was_reading and seen is not None and seen.job.version < at_least:
            seen = await self._shared(job_id)  # that one had begun before the change
        return seen

    async def located(self, seen: Seen) -> Seen | None:
        """The same with its position, if it is queued."""
        return await self._shared(seen.job.id) if seen.lacks_position else seen

    def take_in(self, job: Job) -> Seen:
        """Note what was read elsewhere; what is known of it then, which may be newer."""
        return self._note(Seen(job, None, self._clock()))

    def fresh(self, job_id: JobId) -> Seen | None:
        """What can be had without a command."""
        seen = self._seen.get(job_id)
        return seen if seen is not None and self._is_fresh(seen) else None

    def _is_fresh(self, seen: Seen) -> bool:
        return self._clock() - seen.at < FRESH_S

    async def _shared(self, job_id: JobId) -> Seen | None:
        reading = self._reads.get(job_id)
        if reading is None:
            # A task of its own: the caller who began it may go while others wait for it.
            loop = asyncio.get_running_loop()
            reading = loop.create_task(self._read(job_id), context=Context())
            self._reads[job_id] = reading
            reading.add_done_callback(lambda done: self._finished(job_id, done))
        return await asyncio.shield(reading)

    def _finished(self, job_id: JobId, reading: asyncio.Task[Seen | None]) -> None:
        del self._reads[job_id]
        if not reading.cancelled():
            reading.exception()  # perhaps nobody waits for it any more

    async def _read(self, job_id: JobId) -> Seen | None:
        at = self._clock()
        known = self._seen.get(job_id)
        if known is not None and known.job.is_queued and not self._store.is_late(known.job):
            position = await self._store.position(known.job)
            if position is not None:
                return self._note(Seen(known.job, position, at))
        job = await self._store.find(job_id)
        if job is None:
            self._seen.pop(job_id, None)
            return None
        return self._note(Seen(job, None, at))

    def _note(self, seen: Seen) -> Seen:
        """Keep it, unless something newer is known."""
        known = self._seen.get(seen.job.id)
        if known is not None and known.job.version > seen.job.version:
            return known
        if known is not None and known.job.version == seen.job.version and known.at > seen.at:
            return known
        self._seen[seen.job.id] = seen
        self._seen.move_to_end(seen.job.id)
        if len(self._seen) > MAX_JOBS:
            self._seen.popitem(last=False)
        return seen
