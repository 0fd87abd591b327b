"""How jobs lie in Redis: every key of this package, and one job as a hash with its lease."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NewType, Self

import msgspec

from api.jobs.model.job import WORKER_LOST, Job, JobId, Transition

WAITING = "millrace:jobs:waiting"
"""Sorted set of `waiting_member`s, by the time at which they were queued."""
QUEUE = "millrace:jobs:queue"
"""Stream of `{job: id}`, where Redis is the queue."""
QUEUE_FIELD = "job"
UNSENT = "millrace:jobs:unsent"
"""Sorted set of `waiting_member`s that a queue outside of Redis may not have yet, by that time."""
DELAYED = "millrace:jobs:delayed"
"""Sorted set of job ids by the time at which they are due."""
DEAD = "millrace:jobs:dead"
"""Stream of `{job: id}` that no worker survived."""

FIELDS = ("v", "w", "k", "l", "doc", "r")
"""Of the hash: version, id of the last write, lease token, end of the lease, state, result."""
INLINE_BYTES = 65_536


def job_key(job_id: JobId) -> str:
    """The hash of one job: see `FIELDS`."""
    return f"millrace:job:{job_id}"


def input_key(job_id: JobId) -> str:
    """The JSON text of what the job was asked to do."""
    return f"millrace:job:{job_id}:input"


def result_key(job_id: JobId) -> str:
    """The JSON text of a result that is too large for the hash."""
    return f"millrace:job:{job_id}:result"


def gone_key(job_id: JobId) -> str:
    """The owner of a job that is done: what is left of it when the rest has expired."""
    return f"millrace:job:{job_id}:gone"


def owner_key(owner: str) -> str:
    """Sorted set of the ids of a user's jobs, by the time of creation."""
    return f"millrace:jobs:of:{owner}"


def once_key(digest: str) -> str:
    """The job that an Idempotency-Key created, and the fingerprint of its request."""
    return f"millrace:jobs:once:{digest}"


def waiting_member(job_id: JobId, version: int) -> str:
    """With the version: a member that is there proves that the job still waits, unchanged."""
    return f"{job_id}:{version}"


class Missing(Exception):
    """There is no such job."""


class Fenced(Exception):
    """Another worker has the job by now: stop, and write nothing more."""


class Busy(Exception):
    """A worker has the job; if it is dead, its lease ends in `retry_after_s`."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"leased for {retry_after_s:.1f} s")
        self.retry_after_s = retry_after_s


LeaseToken = NewType("LeaseToken", str)
"""A random text by which Redis knows the worker that may write a job."""


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job and its lease: until `lease_ends_ms` only the worker with `token` may write it.

    In a record that is to be written, None as the end leaves the lease as it is.
    """

    job: Job
    token: LeaseToken | None = None
    lease_ends_ms: int | None = 0

    @classmethod
    def read(cls, fields: Sequence[Any]) -> Self | None:
        """From the values of `FIELDS`; None where there is no job."""
        version, _, token, lease_ends, doc, result = fields
        if version is None:
            return None
        job = replace(msgspec.json.decode(doc, type=Job), result=result)
        return cls(job, LeaseToken(token) if token else None, int(lease_ends or 0))

    def fields(self, write_id: str) -> list[str | int]:
        """For HSET. Raises `msgspec.ValidationError` for a job with a value of a wrong type."""
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
        """What `transition` makes of the job; the lease ends with the attempt.

        With `token` only that worker may write: raises `Fenced` for any other.
        """
        if token is not None and self.token != token:
            raise Fenced
        job = _with_result(transition(self.job), result_json)
        return type(self)(job, self.token, None) if job.is_running else type(self)(job)

    def started(self, token: LeaseToken, *, at_ms: int, ends_ms: int, is_late: bool) -> Self:
        """The record with its next attempt begun under the lease `token`, until `ends_ms`.

        Where no attempt may begin the job is done, and has no lease. `is_late` says that it has
        waited for too long. Raises `Busy` while another worker has it, `NotAllowed` if it is done.
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
    """The job with its result: small ones travel with it, large ones have a key of their own."""
    if text is None:
        return job
    size = len(text.encode())
    return replace(job, result=text if size <= INLINE_BYTES else None, result_bytes=size)
