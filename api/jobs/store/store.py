"""Reads and writes jobs in Redis. State and event are written together, and no write twice."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from api.events import TopicName
from api.jobs.model.job import Job, JobId, NotAllowed, Transition, topic_of
from api.jobs.store import layout
from api.jobs.store.layout import FIELDS, Fenced, JobRecord, LeaseToken, Missing
from api.jobs.store.writes import RENEW, Guard, WriteEnd, Writes, run_guarded
from api.upstash import Command, RedisError, UpstashClient

CONFLICTS = 20  # tries to write a change


class Contended(RedisError):
    """Raised when others changed the job during each of `CONFLICTS` tries to write it."""

    executed = False


@dataclass(frozen=True, slots=True)
class Idempotency:
    """Has a job created once: by the first request with `key` within `ttl_s` seconds.

    `key` stands for the user and the Idempotency-Key, `fingerprint` for the body of the request.
    """

    key: str
    fingerprint: str
    ttl_s: int


@dataclass(frozen=True, slots=True)
class Created:
    """What `JobStore.create` made or found.

    With `replayed` an earlier request created the job, and `fingerprint` is of that request. `job`
    is None if that job is not kept any more.
    """

    job_id: JobId
    job: Job | None
    replayed: bool = False
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class Started:
    """An attempt that has begun: its job and input, and the token that its worker writes with."""

    job: Job
    token: LeaseToken
    input_json: str


@dataclass(slots=True)
class JobChanges:
    """Tells other parts of this process what it has written, so that they need not ask Redis.

    `stored` is awaited with the topics that have new events, and every listener is called with each
    job that was written here. `queued` is set when a job was queued here; the reader of the queue
    clears it.
    """

    stored: Callable[[Sequence[TopicName]], Awaitable[None]]
    listeners: list[Callable[[Job], object]] = field(default_factory=list)
    queued: asyncio.Event = field(default_factory=asyncio.Event)

    async def wrote(self, job: Job, topics: Sequence[TopicName]) -> None:
        """Tell of a job that was written, and of the `topics` whose events were written with it."""
        for listener in self.listeners:
            listener(job)
        await self.stored(topics)


@dataclass(slots=True)
class JobStore:
    """Reads and writes jobs. Every method but `now_ms` and `is_late` raises `RedisError`.

    `clock` gives seconds since 1970. `changes` is told of each write. A job that has waited for too
    long is changed to expired when it is read, which costs commands of its own.
    """

    redis: UpstashClient
    writes: Writes
    clock: Callable[[], float]
    new_id: Callable[[], str]
    changes: JobChanges

    def now_ms(self) -> int:
        """Return the time in milliseconds since 1970."""
        return int(self.clock() * 1000)

    async def create(
        self, job: Job, input_json: str, *, idempotency: Idempotency | None, enqueue: bool
    ) -> Created:
        """Store a job that is queued, and with `enqueue` put it into the Redis queue.

        Where another queue is used, `enqueue` notes it as unsent: see `sent` and `Sweep`. With an
        `idempotency` whose key created a job before, nothing is stored and that job is returned.
        """
        write_id = self.new_id()
        commands = self.writes.of_change(None, JobRecord(job), write_id)
        commands += self.writes.of_creation(job, input_json)
        if enqueue:
            commands.append(self.writes.of_enqueuing(job))
        once = None
        if idempotency:
            once = layout.once_key(idempotency.key)
            first = f"{job.id} {idempotency.fingerprint}"
            commands.append(("SET", once, first, "EX", idempotency.ttl_s))
        guard = Guard(layout.job_key(job.id), write_id, None, once=once)
        end, reply = await run_guarded(self.redis, guard, commands)
        if end is WriteEnd.KNOWN:
            known, _, fingerprint = reply[0].partition(" ")
            job_id = JobId(known)
            found = await self.find(job_id)
            return Created(job_id, found, replayed=True, fingerprint=fingerprint)
        await self._wrote(None, job)
        return Created(job.id, job)

    async def find(self, job_id: JobId) -> Job | None:
        """Return the job; None if it never was or is not kept any more. Costs one command."""
        record = await self._record(job_id)
        return None if record is None else await self._timely(record.job)

    async def find_many(self, job_ids: Sequence[JobId]) -> dict[JobId, Job]:
        """Return those of the jobs that exist, by id, with one round trip."""
        replies = await self._all([_hmget(job_id) for job_id in job_ids])
        records = {one: JobRecord.read(reply) for one, reply in zip(job_ids, replies, strict=True)}
        return {one: await self._timely(record.job) for one, record in records.items() if record}

    async def position(self, job: Job) -> int | None:
        """Return how many jobs wait before a queued one; None if `job` is not its newest state."""
        member = layout.waiting_member(job.id, job.version)
        rank: int | None = await self.redis.read("ZRANK", layout.WAITING, member)
        return rank

    async def owner_of_gone(self, job_id: JobId) -> str | None:
        """Return who owned a job that is not kept any more; None if that is not known any more."""
        owner: str | None = await self.redis.read("GET", layout.gone_key(job_id))
        return owner

    async def result(self, job: Job) -> str | None:
        """Return the result as JSON text, whatever its size; None if there is none."""
        if job.result is not None or job.result_bytes is None:
            return job.result
        text: str | None = await self.redis.read("GET", layout.result_key(job.id))
        return text

    async def change(
        self,
        job_id: JobId,
        transition: Transition,
        *,
        token: LeaseToken | None = None,
        known: Job | None = None,
        result_json: str | None = None,
        enqueue: bool = False,
    ) -> Job:
        """Write what `transition` makes of the newest state, with its event, and return the job.

        `known` is the state that the caller saw last; it spares one command. With `token` only the
        worker that holds that lease may write. `result_json` is the result to store, None for none.
        `enqueue` queues the job as in `create`. Raises `Fenced`, `Missing`, `Contended`, and what
        `transition` raises.
        """
        record = JobRecord(known, token) if known else await self._record(job_id)
        changed = await self._change(
            record,
            job_id,
            lambda found: found.changed(transition, token, result_json),
            token=token,
            result_json=result_json,
            enqueue=enqueue,
        )
        return changed.job

    async def start(self, job_id: JobId, *, lease_s: float) -> Started:
        """Begin the next attempt of a job under a new lease of `lease_s` seconds.

        Raises `Busy` while another worker has it, `Missing`, and `NotAllowed` if the job is done.
        """
        now_ms = self.now_ms()
        token = LeaseToken(self.new_id())
        ends_ms = now_ms + int(lease_s * 1000)

        def advance(found: JobRecord) -> JobRecord:
            is_late = self.is_late(found.job)
            return found.started(token, at_ms=now_ms, ends_ms=ends_ms, is_late=is_late)

        fields, text = await self._all([_hmget(job_id), ("GET", layout.input_key(job_id))])
        record = await self._change(JobRecord.read(fields), job_id, advance)
        if record.token != token:
            raise NotAllowed(record.job)
        return Started(record.job, token, text or "null")

    async def renew(self, job_id: JobId, token: LeaseToken, *, lease_s: float) -> Job:
        """Keep the lease for `lease_s` more seconds, and return the job as it is now.

        Raises `Fenced` and `Missing`.
        """
        end, *fields = await self.redis.script(
            RENEW,
            keys=[layout.job_key(job_id)],
            args=[token, self.now_ms() + int(lease_s * 1000)],
            repeatable=True,
        )
        if end == WriteEnd.MISSING:
            raise Missing
        record = JobRecord.read(fields) if end == WriteEnd.DONE else None
        if record is None:
            raise Fenced
        return record.job

    async def discard(self, job: Job, idempotency: Idempotency | None) -> None:
        """Delete a job that could not be queued, with its key, if nobody has changed it."""
        commands = self.writes.of_discarding(job)
        if idempotency:
            commands.append(("DEL", layout.once_key(idempotency.key)))
        guard = Guard(layout.job_key(job.id), self.new_id(), job.version)
        await run_guarded(self.redis, guard, commands)

    async def sent(self, job: Job) -> None:
        """Note that the queue outside of Redis has been sent the job in its present version."""
        member = layout.waiting_member(job.id, job.version)
        await self.redis.write("ZREM", layout.UNSENT, member, repeatable=True)

    def is_late(self, job: Job) -> bool:
        """Return whether the job is queued, and has waited for `JobLifetimes.queue_s` or more."""
        ends_ms = job.queued_ms + self.writes.keep.queue_s * 1000
        return job.is_queued and ends_ms <= self.now_ms()

    async def _change(
        self,
        record: JobRecord | None,
        job_id: JobId,
        advance: Callable[[JobRecord], JobRecord],
        *,
        token: LeaseToken | None = None,
        result_json: str | None = None,
        enqueue: bool = False,
    ) -> JobRecord:
        """Compare and set; after a conflict, compute the change again from the present state."""
        write_id = self.new_id()
        for _ in range(CONFLICTS):
            if record is None:
                raise Missing
            old, wanted = record.job, advance(record)
            if wanted.job == old:
                return wanted
            job = self.writes.stamped(wanted.job, version=old.version + 1, at_ms=self.now_ms())
            wanted = replace(wanted, job=job)
            commands = self.writes.of_change(old, wanted, write_id, result_json=result_json)
            if enqueue:
                commands.append(self.writes.of_enqueuing(job))
            guard = Guard(layout.job_key(job_id), write_id, old.version, token)
            end, reply = await run_guarded(self.redis, guard, commands)
            if end in (WriteEnd.DONE, WriteEnd.AGAIN):
                await self._wrote(old, job)
                return wanted
            if end is WriteEnd.FENCED:
                raise Fenced
            record = JobRecord.read(reply) if end is WriteEnd.CONFLICT else None
        raise Contended("changed too often by others")

    async def _wrote(self, old: Job | None, job: Job) -> None:
        others = [draft.topic for draft in self.writes.drafts(old, job)]
        await self.changes.wrote(job, [topic_of(job.id), *others])

    async def _record(self, job_id: JobId) -> JobRecord | None:
        return JobRecord.read(await self.redis.read(*_hmget(job_id)))

    async def _timely(self, job: Job) -> Job:
        """Return the job; one that has waited for too long is changed to expired first."""
        now_ms = self.now_ms()
        if not self.is_late(job):
            return job

        def expire(found: Job) -> Job:
            return found.expired(now_ms) if self.is_late(found) else found

        return await self.change(job.id, expire, known=job)

    async def _all(self, commands: Sequence[Command]) -> list[Any]:
        """Return the replies to commands that only read, in one round trip."""
        replies = await self.redis.pipeline(commands, repeatable=True) if commands else []
        for failed in (one for one in replies if isinstance(one, RedisError)):
            raise failed
        return replies


def _hmget(job_id: JobId) -> tuple[str, ...]:
    return ("HMGET", layout.job_key(job_id), *FIELDS)
