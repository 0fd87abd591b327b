"""How jobs lie in Redis: every key of this package, and one job as a hash."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NewType, Self

import msgspec

from api.jobs.model.job import Job, JobId

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


def job_key(job_id: JobId) -> str:
    """Hash: `v` version, `w` id of the last write, `doc`, `r` small result, `l` `k` lease."""
    return f"millrace:job:{job_id}"


def input_key(job_id: JobId) -> str:
    return f"millrace:job:{job_id}:input"


def result_key(job_id: JobId) -> str:
    """A result too large to travel with the job."""
    return f"millrace:job:{job_id}:result"


def gone_key(job_id: JobId) -> str:
    """The owner of a job that is done: what is left of it when the rest has expired."""
    return f"millrace:job:{job_id}:gone"


def owner_key(owner: str) -> str:
    """Sorted set of the ids of a user's jobs, by the time of creation."""
    return f"millrace:jobs:of:{owner}"


def once_key(digest: str) -> str:
    """The job that an Idempotency-Key created."""
    return f"millrace:jobs:once:{digest}"


def waiting_member(job_id: JobId, version: int) -> str:
    """With the version: a member that is there proves that the job still waits, unchanged."""
    return f"{job_id}:{version}"


LeaseToken = NewType("LeaseToken", str)
INLINE_BYTES = 65_536
FIELDS = ("v", "w", "k", "l", "doc", "r")


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job and its lease: until `lease_ends_ms` only the worker with `token` may go on.

    To be written, None as the end leaves the lease as it is.
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


def with_result(job: Job, text: str | None) -> Job:
    """The job with its result: small ones travel with it, large ones have a key of their own."""
    if text is None:
        return job
    size = len(text.encode())
    return replace(job, result=text if size <= INLINE_BYTES else None, result_bytes=size)
