"""What each change of a job writes, and the script that writes all of it or nothing.

Upstash has transactions without conditions, and conditions only in Lua. So the script checks the
condition, and then runs ordinary commands, which are built here.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import msgspec

from api.events import EVENT_FIELD, Draft, Retentions, TopicName, log_key, xadd
from api.jobs.model.job import Job, JobStatus, topic_of
from api.jobs.model.view import PollHints, job_json
from api.jobs.store import layout
from api.jobs.store.layout import FIELDS, JobRecord
from api.upstash import Script, UpstashClient

Command = tuple[str, str, *tuple[str | int, ...]]
"""A Redis command: name, key, and arguments."""

EVENT_TYPE = "job"
"""The type of the events in a job's topic; the data of each is a state of the job."""


@dataclass(frozen=True, slots=True)
class JobLifetimes:
    """How long jobs are kept, in seconds.

    `result_s` is for jobs that succeeded or were canceled, `failed_s` for jobs that failed or
    expired, both from their end. `gone_s` is for how long after that it is known that there was a
    job. `queue_s` is for how long a job may wait for a worker before it expires.
    """

    result_s: int
    failed_s: int
    gone_s: int
    queue_s: int

    def after(self, status: JobStatus) -> int:
        """Return for how many seconds a job that ended with `status` can be read."""
        is_short = status in (JobStatus.SUCCEEDED, JobStatus.CANCELED)
        return self.result_s if is_short else self.failed_s

    @property
    def longest_s(self) -> int:
        """The longest wait for a worker plus the longest time after the end, in seconds."""
        return self.queue_s + max(self.result_s, self.failed_s)


@dataclass(frozen=True, slots=True)
class Writes:
    """Builds the Redis commands of each change of a job, and runs none of them.

    `announce` returns the events that a job which has just ended adds to other topics; `topics`
    says how long these keep their events. With `queue_is_elsewhere` a job is noted as unsent until
    the queue outside of Redis has it.
    """

    keep: JobLifetimes
    topics: Retentions
    hints: PollHints
    announce: Callable[[Job], Sequence[Draft]]
    queue_is_elsewhere: bool = False

    def stamped(self, job: Job, *, version: int, at_ms: int) -> Job:
        """Return the job with what each write sets: version, time and, when done, its expiry."""
        expires_ms = job.expires_ms
        if job.is_done and expires_ms is None:
            expires_ms = at_ms + self.keep.after(job.status) * 1000
        return replace(job, version=version, updated_ms=at_ms, expires_ms=expires_ms)

    def drafts(self, old: Job | None, job: Job) -> Sequence[Draft]:
        """Return the events for other topics than the job's own; only the end of a job has some.

        `old` is the state before, None for a new job.
        """
        is_news = job.is_done and not (old and old.is_done)
        return self.announce(job) if is_news else ()

    def of_change(
        self, old: Job | None, record: JobRecord, write_id: str, *, result_json: str | None = None
    ) -> list[Command]:
        """Build the commands that write the new state and its event. `old` is None for a new job.

        `write_id` names this write. `result_json` is the result to store, None for none.
        """
        job = record.job
        event = msgspec.json.encode(
            {
                "type": EVENT_TYPE,
                "data": msgspec.Raw(job_json(job, poll_after_ms=self.hints.poll_after_ms(job))),
            }
        ).decode()
        commands: list[Command] = [
            ("HSET", layout.job_key(job.id), *record.fields(write_id)),
            self._xadd(topic_of(job.id), event),
        ]
        if old is None or old.status is not job.status:
            commands += self._of_status(old, job)
        if result_json is not None:
            commands.append(self._of_result(job, result_json))
        for draft in self.drafts(old, job):
            text = msgspec.json.encode({"type": draft.type, "data": draft.data}).decode()
            commands.append(self._xadd(draft.topic, text))
            commands.append(("EXPIRE", log_key(draft.topic), self.topics.of(draft.topic).ttl_s))
        return commands

    def of_creation(self, job: Job, input_json: str) -> list[Command]:
        """Build the further commands for a new job: they store its input and list it."""
        listed = layout.owner_key(job.owner)
        ttl_s = self.keep.longest_s
        return [
            ("SET", layout.input_key(job.id), input_json, "EX", ttl_s),
            ("ZADD", listed, job.created_ms, job.id),
            ("ZREMRANGEBYSCORE", listed, "-inf", job.created_ms - ttl_s * 1000),
            ("EXPIRE", listed, ttl_s),
        ]

    def of_enqueuing(self, job: Job) -> Command:
        """Build the command that adds a job to the Redis queue, or to the unsent jobs."""
        if self.queue_is_elsewhere:
            member = layout.waiting_member(job.id, job.version)
            return ("ZADD", layout.UNSENT, job.queued_ms, member)
        return ("XADD", layout.QUEUE, "*", layout.QUEUE_FIELD, job.id)

    def of_discarding(self, job: Job) -> list[Command]:
        """Build the commands that delete every key of a job. No attempt at it may have begun."""
        return [
            ("DEL", layout.job_key(job.id)),
            ("DEL", layout.input_key(job.id)),
            ("DEL", log_key(topic_of(job.id))),
            ("ZREM", layout.WAITING, layout.waiting_member(job.id, job.version)),
            ("ZREM", layout.UNSENT, layout.waiting_member(job.id, job.version)),
            ("ZREM", layout.owner_key(job.owner), job.id),
        ]

    def _of_status(self, old: Job | None, job: Job) -> Iterator[Command]:
        ttl_s = self.keep.after(job.status) if job.is_done else self.keep.longest_s
        if not job.is_running:  # a running job keeps the expiry that it got when it was queued
            yield "EXPIRE", layout.job_key(job.id), ttl_s
            yield "EXPIRE", log_key(topic_of(job.id)), ttl_s
        if not job.is_running and old is not None:
            yield "EXPIRE", layout.input_key(job.id), ttl_s
        if old is not None and old.is_queued:
            yield "ZREM", layout.WAITING, layout.waiting_member(job.id, old.version)
        if job.is_queued:
            oldest_ms = job.queued_ms - self.keep.queue_s * 1000
            yield "ZADD", layout.WAITING, job.queued_ms, layout.waiting_member(job.id, job.version)
            yield "ZREMRANGEBYSCORE", layout.WAITING, "-inf", oldest_ms
        if job.is_done:
            yield "SET", layout.gone_key(job.id), job.owner, "EX", ttl_s + self.keep.gone_s
        elif old is not None and old.is_done:
            yield "DEL", layout.gone_key(job.id)

    def _of_result(self, job: Job, result_json: str) -> Command:
        if job.result is not None:
            return "HSET", layout.job_key(job.id), "r", result_json
        return "SET", layout.result_key(job.id), result_json, "EX", self.keep.after(job.status)

    def _xadd(self, topic: TopicName, text: str) -> Command:
        most = self.topics.of(topic).max_events
        return xadd(log_key(topic), EVENT_FIELD, text, keep=most)


_READ = f"local now = redis.call('HMGET', KEYS[1], {', '.join(map(repr, FIELDS))})\n"
# KEYS[1] is the job. ARGV: version expected ('' none yet), id of this write, lease token
# expected ('' any), index of the key of an Idempotency-Key (0 none), then the commands, each
# as its length, name, index of its key and arguments.
GUARDED = (
    _READ
    + """
if now[2] == ARGV[2] then return {'again'} end
local once = tonumber(ARGV[4])
if once > 0 then
  local known = redis.call('GET', KEYS[once])
  if known then return {'known', known} end
end
if (now[1] or '') ~= ARGV[1] then return {now[1] and 'conflict' or 'missing', unpack(now)} end
if ARGV[3] ~= '' and now[3] ~= ARGV[3] then return {'fenced'} end
local at = 5
while at <= #ARGV do
  local length = tonumber(ARGV[at])
  local command = {}
  for part = 1, length do command[part] = ARGV[at + part] end
  command[2] = KEYS[tonumber(command[2])]
  redis.call(unpack(command))
  at = at + length + 1
end
return {'done'}
"""
)

RENEW = Script(
    _READ
    + """
if now[3] ~= ARGV[1] then return {now[1] and 'fenced' or 'missing'} end
redis.call('HSET', KEYS[1], 'l', ARGV[2])
return {'done', unpack(now)}
""",
    calls=lambda result: ("HMGET", "HSET") if result[0] == "done" else ("HMGET",),
)


class WriteEnd(StrEnum):
    """How a guarded write ended; the values are what the scripts answer."""

    DONE = "done"
    """The commands were run."""
    AGAIN = "again"
    """An earlier try of this same write was carried out, but its reply was lost."""
    KNOWN = "known"
    """The Idempotency-Key was used before, so nothing was written."""
    CONFLICT = "conflict"
    """The job has another version by now, so nothing was written."""
    FENCED = "fenced"
    """Another worker holds the lease, so nothing was written."""
    MISSING = "missing"
    """The job is not there any more, so nothing was written."""


@dataclass(frozen=True, slots=True)
class Guard:
    """What must hold for a write: the job's version (None: no job) and the worker's lease token.

    `token` None is for writers that need no lease. `write_id` names this write and no other. If the
    key `once` is there already, nothing is written, and its text is returned.
    """

    job_key: str
    write_id: str
    version: int | None
    token: str | None = None
    once: str | None = None


async def run_guarded(
    redis: UpstashClient, guard: Guard, commands: Sequence[Command]
) -> tuple[WriteEnd, Any]:
    """Run `commands` as one if the guard allows it; to repeat the call repeats no write.

    Return how it ended and what came with that: for `KNOWN` the text at the key `once`, for
    `CONFLICT` the values of `FIELDS`. Raises `RedisError`.
    """
    names = [
        guard.job_key,
        *([guard.once] if guard.once else []),
        *(key for _, key, *_ in commands),
    ]
    keys = list(dict.fromkeys(names))
    place = {key: index for index, key in enumerate(keys, start=1)}
    args: list[str | float] = [
        "" if guard.version is None else str(guard.version),
        guard.write_id,
        guard.token or "",
        place[guard.once] if guard.once else 0,
    ]
    for name, key, *rest in commands:
        args += [len(rest) + 2, name, place[key], *rest]

    def calls(result: Any) -> Sequence[str]:
        looked = ["GET"] if guard.once and result[0] != WriteEnd.AGAIN else []
        ran = [name for name, *_ in commands] if result[0] == WriteEnd.DONE else []
        return ["HMGET", *looked, *ran]

    script = Script(GUARDED, calls=calls)
    end, *rest = await redis.script(script, keys=keys, args=args, repeatable=True)
    return WriteEnd(end), rest
