"""One piece of work that a caller asked for: its state, and how that may change.

A transition takes a time and returns the next state, without I/O; it raises `NotAllowed` in a state
that it cannot follow. The store adds version, `updated_ms` and `expires_ms` when it writes a job,
and writes nothing for a transition that returns the job it was given.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import blake2b
from math import isnan
from typing import Final, NewType

from api.events import TopicName

JobId = NewType("JobId", str)
"""`job_` and a ULID: ids sort by the time of creation, and cannot be guessed."""

PREFIX: Final = "job_"
MAX_MESSAGE_CHARS: Final = 200
_DIGITS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ULID_CHARS: Final = 26
_RANDOM_BITS: Final = 80


class JobStatus(StrEnum):
    """Where a job is in its life. It is `expired` when no worker has started it in time."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"


TERMINAL: Final = frozenset(
    {JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELED, JobStatus.EXPIRED}
)
RETRYABLE: Final = TERMINAL - {JobStatus.SUCCEEDED}


class NotAllowed(Exception):
    """Raised for a transition that the job's state does not allow. `job` is that state."""

    def __init__(self, job: "Job") -> None:
        super().__init__(f"a job that is {job.status}")
        self.job = job


@dataclass(frozen=True, slots=True)
class Progress:
    """How much of an attempt is done: `done` of `total` units, and a note for people."""

    done: float
    total: float
    note: str | None = None

    @property
    def percent(self) -> int:
        """The percentage, rounded down to a whole number from 0 to 100; 0 if there is no total."""
        if not self.total > 0:
            return 0
        # Multiplied first: 29 / 100 * 100 is a little less than 29.
        percent = self.done * 100 / self.total
        return 0 if isnan(percent) else int(max(0.0, min(100.0, percent)))


@dataclass(frozen=True, slots=True)
class Step:
    """Step `index` of `total`, counted from 1; `key` names it for programs, `label` for people."""

    key: str
    index: int
    total: int
    label: str


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job has failed or expired, in words that its owner may read.

    `code` is for programs. `ref` is written to the logs beside the cause; None if the logs know no
    more. `retryable` says whether another attempt may succeed.
    """

    code: str
    title: str
    detail: str | None = None
    retryable: bool = False
    ref: str | None = None


WORKER_LOST: Final = JobError("worker-lost", "The worker was lost", retryable=True)


@dataclass(frozen=True, slots=True)
class Job:
    """The state of a job, as it is stored. What clients see of it is `JobView`.

    Times are milliseconds since 1970, and None for what has not happened. `version` grows by one
    with every write. `attempt` is the number of the newest attempt, 0 before the first. A round has
    up to `tries` attempts, and a retry by the caller begins a new round; `max_attempts` is the last
    number that `attempt` may reach in this round. `progress` is in percent, `result_bytes` the size
    of the result as JSON, and `result` that JSON, None if it is too large to be kept with the job.
    """

    id: JobId
    type: str
    owner: str
    created_ms: int
    queued_ms: int
    tries: int
    max_attempts: int
    status: JobStatus = JobStatus.QUEUED
    version: int = 1
    updated_ms: int = 0
    attempt: int = 0
    started_ms: int | None = None
    finished_ms: int | None = None
    expires_ms: int | None = None
    next_attempt_ms: int | None = None
    progress: int | None = None
    step: Step | None = None
    message: str | None = None
    cancel_requested: bool = False
    error: JobError | None = None
    result_bytes: int | None = None
    result: str | None = None

    @classmethod
    def new(cls, job_id: JobId, type_: str, *, owner: str, at_ms: int, max_attempts: int) -> "Job":
        """Build a job that waits for its first attempt; nothing is stored."""
        return cls(
            id=job_id,
            type=type_,
            owner=owner,
            created_ms=at_ms,
            queued_ms=at_ms,
            updated_ms=at_ms,
            tries=max_attempts,
            max_attempts=max_attempts,
        )

    @property
    def is_done(self) -> bool:
        """Whether the job has ended; then only a retry by a caller changes it."""
        return self.status in TERMINAL

    @property
    def is_queued(self) -> bool:
        """Whether the job waits for a worker."""
        return self.status is JobStatus.QUEUED

    @property
    def is_running(self) -> bool:
        """Whether a worker has begun an attempt that has not ended."""
        return self.status is JobStatus.RUNNING

    @property
    def has_attempts_left(self) -> bool:
        """Whether another attempt may be made in this round."""
        return self.attempt < self.max_attempts

    def started(self, at_ms: int) -> "Job":
        """Return the job with its next attempt begun. It must not be done."""
        self._require(not self.is_done)
        return replace(
            self._unreported(),
            status=JobStatus.RUNNING,
            attempt=self.attempt + 1,
            started_ms=at_ms,
            next_attempt_ms=None,
            error=None,
        )

    def progressed(
        self,
        progress: Progress | None = None,
        *,
        step: Step | None = None,
        message: str | None = None,
    ) -> "Job":
        """Return the job with what its attempt reports; progress never falls, None is no change."""
        self._require(self.is_running)
        note = message if message is not None or progress is None else progress.note
        percent = self.progress
        if progress is not None:
            percent = max(percent or 0, progress.percent)
        text = self.message if note is None else note[:MAX_MESSAGE_CHARS]
        job = replace(self, progress=percent, step=step or self.step, message=text)
        return self if job == self else job

    def succeeded(self, at_ms: int) -> "Job":
        """Return the running job as succeeded; the store adds the result."""
        self._require(self.is_running)
        return replace(self._ended(JobStatus.SUCCEEDED, at_ms), progress=100)

    def failed(self, at_ms: int, error: JobError) -> "Job":
        """Return the queued or running job as failed for good."""
        self._require(not self.is_done)
        return replace(self._ended(JobStatus.FAILED, at_ms), error=error)

    def requeued(self, at_ms: int, *, next_attempt_ms: int) -> "Job":
        """Return the running job as queued: a next attempt may begin at `next_attempt_ms`."""
        self._require(self.is_running)
        return replace(
            self, status=JobStatus.QUEUED, queued_ms=at_ms, next_attempt_ms=next_attempt_ms
        )

    def returned(self, at_ms: int) -> "Job":
        """Return the running job as queued; the attempt, ended by its worker, does not count."""
        self._require(self.is_running)
        return replace(
            self._unreported(),
            status=JobStatus.QUEUED,
            queued_ms=at_ms,
            attempt=self.attempt - 1,
        )

    def cancel_asked(self, at_ms: int) -> "Job":
        """Return a queued job as canceled, a running one as asked to stop, a done one unchanged."""
        if self.is_queued:
            return self.canceled(at_ms)
        if self.is_done or self.cancel_requested:
            return self
        return replace(self, cancel_requested=True)

    def canceled(self, at_ms: int) -> "Job":
        """Return the job as canceled by its owner. It must not be done."""
        self._require(not self.is_done)
        return replace(self._ended(JobStatus.CANCELED, at_ms), cancel_requested=True)

    def expired(self, at_ms: int) -> "Job":
        """Return the queued job as expired, because no worker has started it in time."""
        self._require(self.is_queued)
        error = JobError("job-expired", "Nobody started the job in time", retryable=True)
        return replace(self._ended(JobStatus.EXPIRED, at_ms), error=error)

    def retried(self, at_ms: int) -> "Job":
        """Return the job as queued for a new round of attempts, under the same id.

        Raises `NotAllowed` for a job that succeeded, or is not done.
        """
        self._require(self.status in RETRYABLE)
        return replace(
            self._unreported(),
            status=JobStatus.QUEUED,
            queued_ms=at_ms,
            max_attempts=self.attempt + self.tries,
            finished_ms=None,
            expires_ms=None,
            cancel_requested=False,
            error=None,
        )

    def _unreported(self) -> "Job":
        return replace(self, progress=None, step=None, message=None)

    def _ended(self, status: JobStatus, at_ms: int) -> "Job":
        return replace(self, status=status, finished_ms=at_ms, next_attempt_ms=None)

    def _require(self, holds: bool) -> None:  # noqa: FBT001  # a claim, not an option
        if not holds:
            raise NotAllowed(self)


Transition = Callable[[Job], Job]
"""Takes the present state of a job and returns the next one. Raises `NotAllowed`."""


def job_id_of(at_ms: int, seed: str) -> JobId:
    """Make the id of a job created at `at_ms`; `seed` is a random text of 80 bits or more."""
    chance = int.from_bytes(blake2b(seed.encode(), digest_size=_RANDOM_BITS // 8).digest())
    number = at_ms << _RANDOM_BITS | chance
    digits = [_DIGITS[number >> 5 * place & 31] for place in reversed(range(_ULID_CHARS))]
    return JobId(PREFIX + "".join(digits))


def find_job_id(text: str) -> JobId | None:
    """Return `text`, which came from outside, as a job id; None if it does not have that form."""
    ulid = text.removeprefix(PREFIX)
    is_one = text.startswith(PREFIX) and len(ulid) == _ULID_CHARS and set(ulid) <= set(_DIGITS)
    return JobId(text) if is_one and ulid[0] <= "7" else None


def created_ms_of(job_id: JobId) -> int:
    """Read the time of creation from an id, in milliseconds since 1970."""
    ms = 0
    for digit in job_id.removeprefix(PREFIX)[:10]:
        ms = ms << 5 | _DIGITS.index(digit)
    return ms


def topic_of(job_id: JobId) -> TopicName:
    """Return the topic of a job, `job:<id>`; each event there is a state of the job."""
    return TopicName(f"job:{job_id}")
