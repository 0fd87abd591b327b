"""What callers can do with jobs: create, read, list, cancel and retry them."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec

from api.jobs.model.handlers import Registry
from api.jobs.model.job import Job, JobId, NotAllowed, Transition, find_job_id, job_id_of
from api.jobs.model.problems import JobExpired, JobNotFound, JobWithoutResult, NotRetryable
from api.jobs.model.queue import JobQueue, QueueError
from api.jobs.store.cache import JobCache, KnownJob
from api.jobs.store.layout import Missing
from api.jobs.store.listing import JobFilter, JobsPage, read_page
from api.jobs.store.store import Idempotency, JobStore
from api.payloads.digest import digest_of
from api.problems import IdempotencyKeyReused, StoreUnavailable
from api.security.principal import Principal
from api.upstash import RedisError


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A request to create a job: its type, and its input, which is not checked yet.

    With an Idempotency-Key as `key`, the job is created once however often the request is sent.
    """

    type: str
    input: Any
    key: str | None = None


@dataclass(slots=True)
class Jobs:
    """What callers can do with jobs: each with its own jobs, and an admin with all.

    The methods raise `ApiError`, and `RedisError` when Redis fails. `queue` is None where Redis is
    the queue: then the store enqueues with its own writes. `idempotency_ttl_s` is for how many
    seconds an Idempotency-Key is kept.
    """

    store: JobStore
    cache: JobCache
    registry: Registry
    queue: JobQueue | None
    idempotency_ttl_s: int

    async def create(self, principal: Principal, request: JobRequest) -> tuple[KnownJob, bool]:
        """Store and enqueue a new job, and return it and False.

        If the same key created a job before, return that and True instead. Raises
        `ValidationFailed` for an unknown type or a wrong input, `IdempotencyKeyReused` if the key
        came with another request, and `JobExpired` if the job of the key is not kept any more.
        Raises `StoreUnavailable` if the queue does not answer, after it has deleted the new job.
        """
        checked = self.registry.check(request.type, request.input)
        once = self._idempotency(principal, request)
        at_ms = self.store.now_ms()
        job = Job.new(
            job_id_of(at_ms, self.store.new_id()),
            request.type,
            owner=principal.id,
            at_ms=at_ms,
            max_attempts=checked.max_attempts,
        )
        created = await self.store.create(job, checked.input_json, idempotency=once, enqueue=True)
        if once and created.replayed and created.fingerprint != once.fingerprint:
            raise IdempotencyKeyReused
        if created.job is None:
            raise JobExpired
        # Also for a replay: the first request may have died between storing and queueing.
        if created.job.is_queued and not await self._enqueue(created.job):
            if not created.replayed:
                await self.store.discard(created.job, once)
            raise StoreUnavailable("The queue does not answer.")
        return await self.with_position(self.cache.put(created.job)), created.replayed

    async def get(self, principal: Principal, text: str) -> KnownJob:
        """Return the job whose id is `text`, if the caller may see it: its owner and admins may.

        Its position may be missing: see `with_position`. Raises `JobExpired` for a job that is not
        kept any more, and `JobNotFound` if there never was one. Raises `JobNotFound` for a job of
        another user too, because the answer must not tell that it exists.
        """
        job_id = find_job_id(text)
        if job_id is None:
            raise JobNotFound
        seen = await self.cache.get(job_id)
        if seen is None:
            owner = await self.store.owner_of_gone(job_id)
            raise JobExpired if owner and _may_see(principal, owner) else JobNotFound
        if not _may_see(principal, seen.job.owner):
            raise JobNotFound
        if self._is_gone(seen.job):
            raise JobExpired
        return seen

    async def with_position(self, seen: KnownJob) -> KnownJob:
        """Return the job with its position in the queue, if it is queued.

        It may be a newer state of the job. A job that is gone meanwhile is returned as it was.
        """
        return await self.cache.with_position(seen) or seen

    async def get_many(
        self, principal: Principal, texts: Sequence[str]
    ) -> tuple[list[Job], list[str]]:
        """Return the jobs that the caller may see, in the order of `texts`; and all other ids.

        The others are ids that are malformed, unknown or of jobs that are not kept any more, and
        ids of jobs of other users.
        """
        wanted = {text: job_id for text in texts if (job_id := find_job_id(text))}
        known = {i: seen.job for i in wanted.values() if (seen := self.cache.find_fresh(i))}
        found = await self.store.find_many([i for i in wanted.values() if i not in known])
        known |= {job_id: self.cache.put(job).job for job_id, job in found.items()}
        shown = {
            text: job
            for text, job_id in wanted.items()
            if (job := known.get(job_id))
            and _may_see(principal, job.owner)
            and not self._is_gone(job)
        }
        return list(shown.values()), [text for text in texts if text not in shown]

    async def page(
        self, principal: Principal, wanted: JobFilter, *, cursor: str | None, limit: int
    ) -> JobsPage:
        """Return a page of the caller's own jobs that `wanted` accepts, newest first.

        It holds `limit` jobs at most. `cursor` comes from the page before; None begins with the
        newest job. Raises `InvalidCursor`.
        """
        return await read_page(self.store, principal.id, wanted, cursor=cursor, limit=limit)

    async def result(self, principal: Principal, text: str) -> str:
        """Return the result of a job as JSON text, whatever its size.

        Raises `JobWithoutResult`, and the exceptions of `get`.
        """
        seen = await self.get(principal, text)
        result = await self.store.result(seen.job)
        if result is None:
            raise JobWithoutResult
        return result

    async def cancel(self, principal: Principal, text: str) -> tuple[KnownJob, bool]:
        """Cancel a job that waits, or ask a running one to stop.

        Return the job as it is then, and whether it was done before, so that nothing was changed.
        Raises the exceptions of `get`.
        """
        seen = await self.get(principal, text)
        now_ms = self.store.now_ms()
        was_done = False

        def ask(job: Job) -> Job:
            nonlocal was_done
            was_done = job.is_done
            return job.cancel_asked(now_ms)

        job = await self._change(seen.job.id, ask)
        return self.cache.put(job), was_done

    async def retry(self, principal: Principal, text: str) -> KnownJob:
        """Queue a job once more that failed, expired or was canceled, and return it as it is then.

        Raises `NotRetryable` for any other job, `StoreUnavailable` if the queue does not answer,
        and the exceptions of `get`.
        """
        seen = await self.get(principal, text)
        now_ms = self.store.now_ms()
        before = seen.job

        def again(job: Job) -> Job:
            nonlocal before
            before = job
            return job.retried(now_ms)

        try:
            job = await self._change(before.id, again, enqueue=True)
        except NotAllowed as error:
            raise NotRetryable(f"The job is {error.job.status}.") from error
        if not await self._enqueue(job):
            # Put back as it was, unless a worker or another caller has changed it meanwhile.
            await self._change(job.id, lambda found: before if found == job else found)
            raise StoreUnavailable("The queue does not answer.")
        return await self.with_position(self.cache.put(job))

    async def _change(self, job_id: JobId, transition: Transition, *, enqueue: bool = False) -> Job:
        # Not from the cached state: one that is 250 ms old is good enough to be read, but a request
        # must not be refused because of it.
        try:
            return await self.store.change(job_id, transition, enqueue=enqueue)
        except Missing as error:
            raise JobExpired from error

    async def _enqueue(self, job: Job) -> bool:
        """Hand a job that is stored to the queue; False if the queue does not answer."""
        if self.queue is not None:
            try:
                await self.queue.enqueue(job.id)
            except QueueError:
                return False
            with suppress(RedisError):  # at worst the sweep sends it again
                await self.store.sent(job)
        self.store.changes.queued.set()
        return True

    def _is_gone(self, job: Job) -> bool:
        return job.expires_ms is not None and job.expires_ms <= self.store.now_ms()

    def _idempotency(self, principal: Principal, request: JobRequest) -> Idempotency | None:
        if request.key is None:
            return None
        body = msgspec.json.encode([request.type, request.input], order="sorted").decode()
        return Idempotency(
            digest_of(principal.id, request.key), digest_of(body), self.idempotency_ttl_s
        )


def _may_see(principal: Principal, owner: str) -> bool:
    return principal.is_admin or principal.id == owner
