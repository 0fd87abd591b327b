"""A job as clients see it: its JSON, and when they should ask again."""

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal

import msgspec
from pydantic import Field

from api.events import EventId
from api.jobs.model.job import MAX_MESSAGE_CHARS, RETRYABLE, Job, JobError, JobStatus
from api.payloads.models import Body

PATH = "/api/jobs"
JITTER = 0.1  # of a hint, up or down
LONG_QUEUE = 10  # jobs
LATER_MS = 10_000  # the hint for jobs that are older than all of BY_AGE_MS
BY_AGE_MS = ((3_000, 500), (30_000, 1_000), (300_000, 2_500))  # pairs: age below, hint


@dataclass(frozen=True, slots=True)
class PollHints:
    """Says when clients should ask for a job again: soon for a young job, later for an old one.

    A job with more than `LONG_QUEUE` others before it is asked for half as often. While
    `is_shedding()`, as this process refuses new streams, the pauses are four times as long. `clock`
    gives seconds since 1970.
    """

    clock: Callable[[], float]
    rng: random.Random
    is_shedding: Callable[[], bool] = lambda: False

    def poll_after_ms(self, job: Job, *, position: int | None = None) -> int:
        """Return the milliseconds to wait before the next poll, jittered; 0 for a job that is done.

        `position` is how many jobs wait before it in the queue; None if that is not known.
        """
        if job.is_done:
            return 0
        age_ms = self.clock() * 1000 - job.queued_ms
        pause_ms = next((pause for below, pause in BY_AGE_MS if age_ms < below), LATER_MS)
        if position is not None and position > LONG_QUEUE:
            pause_ms *= 2
        if self.is_shedding():
            pause_ms *= 4
        return int(pause_ms * self.rng.uniform(1 - JITTER, 1 + JITTER))


def retry_after_s(poll_after_ms: int) -> int:
    """Convert a poll hint to whole seconds for `Retry-After`: rounded up, and at least 1."""
    return max(1, math.ceil(poll_after_ms / 1000))


Time = Annotated[str, Field(description="RFC 3339, UTC, milliseconds.")]


class StepView(Body):
    """The step that the attempt has reached, as the job's handler reports it."""

    key: str
    index: Annotated[int, Field(description="From 1.")]
    total: int
    label: str


class JobErrorView(Body):
    """Why the job has failed or expired: a problem (RFC 9457)."""

    type: str
    title: str
    code: Annotated[str, Field(description="Stable; for programs.")]
    retryable: Annotated[bool, Field(description="Whether another try may succeed.")]
    detail: str | None = None
    ref: Annotated[str | None, Field(description="For the operator: logs carry it too.")] = None


class JobLinks(Body):
    """The paths of the job itself, of its stream and result, and of what can be done with it."""

    self: str
    events: str
    cancel: str
    retry: str
    result: str


class JobView(Body):
    """The state of a job."""

    # The only list of what clients see of a job. A field with a name of `Job` has that value, and
    # `…_at` is the text of `…_ms`; `job_view` makes only the others.
    id: str = Field(examples=["job_01KAJ7Z3Q8V5T2M9C4R6W1X0YB"])
    object: Literal["job"]
    type: str
    status: JobStatus
    done: Annotated[bool, Field(description="No change will come by itself.")]
    version: Annotated[int, Field(description="One more with every visible change.")]
    progress: Annotated[
        int | None, Field(ge=0, le=100, description="Percent; never falls within an attempt.")
    ]
    step: StepView | None
    message: Annotated[str | None, Field(max_length=MAX_MESSAGE_CHARS)]
    queue_position: Annotated[
        int | None, Field(description="About how many wait before it; null unless queued.")
    ]
    attempt: Annotated[int, Field(description="0 before the first start.")]
    max_attempts: int
    next_attempt_at: Time | None
    cancel_requested: bool
    cancelable: bool
    retryable: bool
    created_at: Time
    updated_at: Time
    started_at: Time | None
    finished_at: Time | None
    expires_at: Annotated[
        str | None, Field(description="When a job that is done is forgotten: then 410.")
    ]
    result: Annotated[
        Any, Field(description="Up to 64 kB; else null, and `result_url` leads to it.")
    ]
    result_url: str | None
    error: JobErrorView | None
    poll_after_ms: Annotated[int, Field(description="When to ask again; 0 when done.")]
    links: JobLinks


def job_json(job: Job, *, poll_after_ms: int, position: int | None = None) -> bytes:
    """Encode a job as clients see it (`JobView`). The parameters are those of `job_view`."""
    return msgspec.json.encode(job_view(job, poll_after_ms=poll_after_ms, position=position))


def job_view(job: Job, *, poll_after_ms: int, position: int | None = None) -> Mapping[str, Any]:
    """Return the fields of `JobView` for a job, to be encoded by msgspec.

    `poll_after_ms` is the hint to show. `position` is how many jobs wait before it in the queue,
    None if that is not known; it is shown only while the job is queued.
    """
    path = f"{PATH}/{job.id}"
    is_large = job.result is None and job.result_bytes is not None
    return _filled(
        JobView,
        job,
        object="job",
        done=job.is_done,
        queue_position=position if job.is_queued else None,
        cancelable=not (job.is_done or job.cancel_requested),
        retryable=job.status in RETRYABLE,
        result=None if job.result is None else msgspec.Raw(job.result.encode()),
        result_url=f"{path}/result" if is_large else None,
        error=_error(job.error),
        poll_after_ms=poll_after_ms,
        links={name: path if name == "self" else f"{path}/{name}" for name in _sources(JobLinks)},
    )


def _error(error: JobError | None) -> Mapping[str, Any] | None:
    if error is None:
        return None
    return _filled(JobErrorView, error, type=f"urn:millrace:problem:{error.code}")


def _filled(view: type[Body], source: Job | JobError, **made: Any) -> dict[str, Any]:
    """Return the fields of `view` in its order: those in `made`, and the others from `source`."""
    return {
        name: made[name] if name in made else _value(source, field)
        for name, field in _sources(view).items()
    }


@cache
def _sources(view: type[Body]) -> dict[str, str]:
    """Return, for each field of `view`, the name of its source in `Job` or `JobError`."""
    return {
        name: name.removesuffix("at") + "ms" if name.endswith("_at") else name
        for name in view.model_fields
    }


def _value(source: Job | JobError, field: str) -> Any:
    value = getattr(source, field)
    return EventId(value, 0).time if field.endswith("_ms") and value is not None else value
