"""Where jobs live. State and event change together, and a lost reply repeats nothing."""

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

CONFLICTS = 20


class Contended(RedisError):
    """Others changed the job again and again."""

    executed = False


@dataclass(frozen=True, slots=True)
class Idempotency:
    """The first request with `key` creates; `fingerprint` differs where the body does."""

    key: str
    fingerprint: str
    ttl_s: int


@dataclass(frozen=True, slots=True)
class Created:
    """With `replayed` an earlier request created it, with `fingerprint`.

    `job` is None for one that has gone since.
    """

    job_id: JobId
    job: Job | None
    replayed: bool = False
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class Started:
    """An attempt that may begin. Every write of its worker carries the token."""

    job: Job
    token: LeaseToken
    input_json: str


@dataclass(slots=True)
class JobChanges:
    """How this process's writes reach its own parts, which then need not ask Redis.

    It is made first. `stored` is awaited with the topics that have new events, and every listener
    is called with each job that was written here. `queued` is set when a job was queued here.
    """

    stored: Callable[[Sequence[TopicName]], Awaitable[None]]
    listeners: list[Callable[[Job], object]] = field(default_factory=list)
    queued: asyncio.Event = field(default_factory=asyncio.Event)

    async def wrote(self, job: Job, topics: Sequence[TopicName]) -> None:
        """Tell of a job that is written, and of the `topics` whose events were written with it."""
        for listener in self.listeners:
            listener(job)
        await self.stored(topics)


@dataclass(slots=True)
class JobStore:
    """All jobs. Every method raises `RedisError` when Redis does not do its part.

    `clock` gives epoch seconds. `changes` is told of each write.
    """

    redis: UpstashClient
    writes: Writes
    clock: Callable[[], float]
    new_id: Callable[[], str]
    changes: JobChanges

    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        return int(self.clock() * 1000)

    async def create(
        self, job: Job, input_json: str, *, idempotency: Idempotency | None, enqueue: bool
    ) -> Created:
        """Store a job that is queued, and with `enqueue` put it into the Redis queue.

        Where another queue is used, it is noted as unsent: see `sent` and `Sweep`.

        With `idempotency` the job that its key created before is what comes back.
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
        """The job; None for one that never was or has expired. One command."""
        record = await self._record(job_id)
        return None if record is None else await self._timely(record.job)

    async def find_many(self, job_ids: Sequence[JobId]) -> dict[JobId, Job]:
        """Those of the jobs that there are, with one round trip."""
        replies = await self._all([_hmget(job_id) for job_id in job_ids])
        records = {one: JobRecord.read(reply) for one, reply in zip(job_ids, replies, strict=True)}
        return {one: await self._timely(record.job) for one, record in records.items() if record}

    async def position(self, job: Job) -> int | None:
        """How many wait before a job that is queued; None if it has changed since."""
        member = layout.waiting_member(job.id, job.version)
        rank: int | None = await self.redis.read("ZRANK", layout.WAITING, member)
        return rank

    async def owner_of_gone(self, job_id: JobId) -> str | None:
        """Whose job it was, for some time after it has expired."""
        owner: str | None = await self.redis.read("GET", layout.gone_key(job_id))
        return owner

    async def result(self, job: Job) -> str | None:
        """The result's JSON text, of any size; None if there is none."""
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
        """Write what `transition` makes of the job as it is then, and the event of that.

        `known` is the job as the caller saw it last, which spares a command. With `token` only
        the worker that holds it writes. Raises what the transition raises, `Fenced`, `Missing`.
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
        """Begin the next attempt. Raises `Busy`, `Missing`, and `NotAllowed` if it is done."""
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
        """Keep the lease, and see whether a cancel is requested. Raises `Fenced`, `Missing`."""
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
        """Take back a job that could not be queued, if nobody has changed it since."""
        commands = self.writes.of_discarding(job)
        if idempotency:
            commands.append(("DEL", layout.once_key(idempotency.key)))
        guard = Guard(layout.job_key(job.id), self.new_id(), job.version)
        await run_guarded(self.redis, guard, commands)

    async def sent(self, job: Job) -> None:
        """Note that the queue outside of Redis has the job as it is now."""
        member = layout.waiting_member(job.id, job.version)
        await self.redis.write("ZREM", layout.UNSENT, member, repeatable=True)

    def is_late(self, job: Job) -> bool:
        """Whether nobody has started the job in time."""
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
        """Compare and set; on the present state again whenever somebody was faster."""
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
        """A job that waits for too long expires when somebody looks."""
        now_ms = self.now_ms()
        if not self.is_late(job):
            return job

        def expire(found: Job) -> Job:
            return found.expired(now_ms) if self.is_late(found) else found

        return await self.change(job.id, expire, known=job)

    async def _all(self, commands: Sequence[Command]) -> list[Any]:
        """The replies to reading commands, in one round trip."""
        replies = await self.redis.pipeline(commands, repeatable=True) if commands else []
        for failed in (one for one in replies if isinstance(one, RedisError)):
            raise failed
        return replies


def _hmget(job_id: JobId) -> tuple[str, ...]:
    return ("HMGET", layout.job_key(job_id), *FIELDS)
