"""The JSON that comes in and goes out, as the OpenAPI document describes it."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal

import msgspec
from pydantic import Field

from api.events import EventId
from api.jobs.job import MAX_MESSAGE_CHARS, RETRYABLE, Job, JobError, JobStatus
from api.jobs.kinds import JobKind
from api.payloads.models import Body, example

PATH = "/api/jobs"
INLINE_BYTES = 65_536

Time = Annotated[str, Field(description="RFC 3339, UTC, milliseconds.")]


class JobBody(Body):
    """A job to do."""

    model_config = example(
        type="report",
        input={"csv": "region,amount\nnorth,3\nsouth,4\n", "group_by": "region", "value": "amount"},
    )

    type: Annotated[str, Field(min_length=1, max_length=64, examples=["report"])]
    input: Any = Field(default_factory=dict, description="What the type of job takes.")


class StepView(Body):
    key: str
    index: Annotated[int, Field(description="From 1.")]
    total: int
    label: str


class JobErrorView(Body):
    """Why the job has failed: a problem (RFC 9457)."""

    type: str
    title: str
    code: Annotated[str, Field(description="Stable; for programs.")]
    retryable: Annotated[bool, Field(description="Whether another try may succeed.")]
    detail: str | None = None
    ref: Annotated[str | None, Field(description="For the operator: logs carry it too.")] = None


class JobLinks(Body):
    self: str
    events: str
    cancel: str
    retry: str
    result: str


class JobView(Body):
    """A job's state."""

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


class JobTypeView(Body):
    """A type of job that is done here."""

    type: str = Field(examples=["report"])
    summary: str
    input: Annotated[dict[str, Any], Field(description="JSON Schema of what it takes.")]
    result: Annotated[dict[str, Any], Field(description="JSON Schema of what it brings.")]

    @classmethod
    def of(cls, kind: JobKind) -> "JobTypeView":
        return cls(
            type=kind.name,
            summary=kind.summary,
            input=kind.input.model_json_schema(),
            result=kind.result.model_json_schema(mode="serialization"),
        )


class JobTypesView(Body):
    """The types of job, by name."""

    data: list[JobTypeView]


class JobsView(Body):
    """The jobs that `ids` named, and those of them that are not there."""

    data: list[JobView]
    missing: list[str]
    poll_after_ms: int


class JobPage(Body):
    """A page of the caller's jobs, newest first."""

    data: list[JobView]
    next_cursor: str | None
    has_more: bool


def job_json(job: Job, *, poll_after_ms: int, position: int | None = None) -> bytes:
    """The wire form of a job (`JobView`)."""
    return msgspec.json.encode(job_view(job, poll_after_ms=poll_after_ms, position=position))


def job_view(job: Job, *, poll_after_ms: int, position: int | None = None) -> Mapping[str, Any]:
    path = f"{PATH}/{job.id}"
    is_large = job.result is None and job.result_bytes is not None
    return {
        "id": job.id,
        "object": "job",
        "type": job.type,
        "status": job.status,
        "done": job.is_done,
        "version": job.version,
        "progress": job.progress,
        "step": asdict(job.step) if job.step else None,
        "message": job.message,
        "queue_position": position if job.is_queued else None,
        "attempt": job.attempt,
        "max_attempts": job.max_attempts,
        "next_attempt_at": _time(job.next_attempt_ms),
        "cancel_requested": job.cancel_requested,
        "cancelable": not (job.is_done or job.cancel_requested),
        "retryable": job.status in RETRYABLE,
        "created_at": _time(job.created_ms),
        "updated_at": _time(job.updated_ms),
        "started_at": _time(job.started_ms),
        "finished_at": _time(job.finished_ms),
        "expires_at": _time(job.expires_ms),
        "result": None if job.result is None else msgspec.Raw(job.result.encode()),
        "result_url": f"{path}/result" if is_large else None,
        "error": _error(job.error),
        "poll_after_ms": poll_after_ms,
        "links": {
            "self": path,
            "events": f"{path}/events",
            "cancel": f"{path}/cancel",
            "retry": f"{path}/retry",
            "result": f"{path}/result",
        },
    }


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else EventId(at_ms, 0).time


def _error(error: JobError | None) -> Mapping[str, Any] | None:
    if error is None:
        return None
    return {
        "type": f"urn:millrace:problem:{error.code}",
        "title": error.title,
        "code": error.code,
        "retryable": error.retryable,
        "detail": error.detail,
        "ref": error.ref,
    }
