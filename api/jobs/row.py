"""A job as Redis holds it: fields of a hash, there and back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NewType, Self

import msgspec

from api.jobs.job import Job
from api.jobs.models import INLINE_BYTES

LeaseToken = NewType("LeaseToken", str)
FIELDS = ("v", "w", "k", "l", "doc", "r")


@dataclass(frozen=True, slots=True)
class Row:
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
