"""How jobs are stored in Redis: all keys of this package, and one job as a hash with its lease."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NewType, Self

import msgspec

from api.jobs.model.job import WORKER_LOST, Job, JobId, Transition

WAITING = "millrace:jobs:waiting"
"""Sorted set: the `waiting_member` of each queued job, by when it was queued (ms since 1970)."""
QUEUE = "millrace:jobs:queue"
"""Stream with the entries `{job: id}`: the queue, where Redis is the queue."""
QUEUE_FIELD = "job"
UNSENT = "millrace:jobs:unsent"
"""Sorted set: the `waiting_member` of each job that a queue outside of Redis may not have yet.

The score is when the job was queued, or last taken by a sweep, in milliseconds since 1970.
"""
DELAYED = "millrace:jobs:delayed"
"""Sorted set: the ids of the jobs to queue later, by when they are due (ms since 1970)."""
DEAD = "millrace:jobs:dead"
"""Stream with the entries `{job: id}`: the dead letters, which no worker survived."""

FIELDS = ("v", "w", "k", "l", "doc", "r")
"""Fields of a job's hash: version, id of the last write, lease token, lease end, state, result."""
INLINE_BYTES = 65_536  # a larger result has a key of its own


def job_key(job_id: JobId) -> str:
    """Return the key of the hash of one job; its fields are `FIELDS`."""
    return f"millrace:job:{job_id}"


def input_key(job_id: JobId) -> str:
    """Return the key of the JSON text of a job's input."""
    return f"millrace:job:{job_id}:input"


def result_key(job_id: JobId) -> str:
    """Return the key of the JSON text of a result that is too large for the hash."""
    return f"millrace:job:{job_id}:result"


def gone_key(job_id: JobId) -> str:
    """Return the key that holds the owner of a job that is done; it outlives the job's others."""
    return f"millrace:job:{job_id}:gone"


def owner_key(owner: str) -> str:
    """Return the key of the sorted set of the ids of a user's jobs, by the time of creation."""
    return f"millrace:jobs:of:{owner}"


def once_key(digest: str) -> str:
    """Return the key that holds the job of an Idempotency-Key, and a fingerprint of its request.

    `digest` stands for the user and the Idempotency-Key.
    """
    return f"millrace:jobs:once:{digest}"


def waiting_member(job_id: JobId, version: int) -> str:
    """Return the member of `WAITING` and `UNSENT` for a job in this version.

    While it is in `WAITING`, the job still waits and has not changed since.
    """
    return f"{job_id}:{version}"


class Missing(Exception):
    """Raised when there is no such job, or not any more."""


class Fenced(Exception):
    """Raised when another worker has the job by now: stop, and write nothing more."""


class Busy(Exception):
    """Raised when another worker has the job; if it is dead, its lease ends in `retry_after_s`."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"leased for {retry_after_s:.1f} s")
        self.retry_after_s = retry_after_s


LeaseToken = NewType("LeaseToken", str)
"""A random text that names the holder of a lease: only that worker may write the job."""


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job and its lease: until `lease_ends_ms` only the worker with `token` may write it.

    `lease_ends_ms` is in milliseconds since 1970. In a record that is to be written, None leaves
    the lease as it is.
    """

    job: Job
    token: LeaseToken | None = None
    lease_ends_ms: int | None = 0

    @classmethod
    def read(cls, fields: Sequence[Any]) -> Self | None:
        """Build the record from the values of `FIELDS`; None if there is no job."""
        version, _, token, lease_ends, doc, result = fields
        if version is None:
            return None
        job = replace(msgspec.json.decode(doc, type=Job), result=result)
        return cls(job, LeaseToken(token) if token else None, int(lease_ends or 0))

    def fields(self, write_id: str) -> list[str | int]:
        """Return field names and values in turn, for HSET. `write_id` names this write.

        Raises `msgspec.ValidationError` for a job with a value of a wrong type.
        """
        doc = msgspec.json.encode(replace(self.job, result=None)).decode()
        # What cannot be read again must not be written: the job would be stuck for ever.
        msgspec.json.decode(doc, type=Job)
        pairs: list[str | int] = ["v", self.job.version, "w", write_id, "doc", doc]
        if self.lease_ends_ms is None:
            return pairs
        return [*pairs, "k", self.token or "", "l", self.lease_ends_ms]

    def changed(
        self, transition: Transition, token: LeaseToken | None, result_json: str | None
    ) -> Self:
        """Return the record after `transition`; the lease ends with the attempt.

        `token` None lets anybody write; otherwise raises `Fenced` unless that worker has the lease.
        `result_json` is the result to add, None for none.
        """
        if token is not None and self.token != token:
            raise Fenced
        job = _with_result(transition(self.job), result_json)
        return type(self)(job, self.token, None) if job.is_running else type(self)(job)

    def started(self, token: LeaseToken, *, at_ms: int, ends_ms: int, is_late: bool) -> Self:
        """Return the record with its next attempt begun under the lease `token`, until `ends_ms`.

        If no attempt may begin, the job in it is done and has no lease: it has expired (`is_late`
        says that it waited too long), was canceled, or has failed because its worker died in its
        last attempt. Raises `Busy` while another worker has it, `NotAllowed` if it was done before.
        """
        job = self.job
        if self.token == token:  # the reply to our own start was lost
            return self
        if is_late:
            return type(self)(job.expired(at_ms))
        if job.is_running:
            left_ms = (self.lease_ends_ms or 0) - at_ms
            if left_ms > 0:
                raise Busy(left_ms / 1000)
            if job.cancel_requested:
                return type(self)(job.canceled(at_ms))
            if not job.has_attempts_left:
                return type(self)(job.failed(at_ms, WORKER_LOST))
        return type(self)(job.started(at_ms), token, ends_ms)


def _with_result(job: Job, text: str | None) -> Job:
    """Add the result to the job, or only its size if it is above `INLINE_BYTES`."""
    if text is None:
        return job
    size = len(text.encode())
    return replace(job, result=text if size <= INLINE_BYTES else None, result_bytes=size)
