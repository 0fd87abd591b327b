"""The JSON of requests for jobs, of types of job, and of several jobs at once."""

from typing import Annotated, Any

from pydantic import Field

from api.jobs.model.handlers import JobHandler
from api.jobs.model.view import JobView
from api.payloads.models import Body, example


class JobBody(Body):
    """Request body of `POST /api/jobs`: the job to create."""

    model_config = example(
        type="report",
        input={"csv": "region,amount\nnorth,3\nsouth,4\n", "group_by": "region", "value": "amount"},
    )

    type: Annotated[str, Field(min_length=1, max_length=64, examples=["report"])]
    input: Any = Field(default_factory=dict, description="What the type of job takes.")


class JobTypeView(Body):
    """A type of job that can be created here."""

    type: str = Field(examples=["report"])
    summary: str
    input: Annotated[dict[str, Any], Field(description="JSON Schema of what it takes.")]
    result: Annotated[dict[str, Any], Field(description="JSON Schema of what it brings.")]

    @classmethod
    def of(cls, handler: JobHandler[Any, Any]) -> "JobTypeView":
        """Build the view of the type that `handler` does."""
        return cls(
            type=handler.name,
            summary=handler.summary,
            input=handler.input.model_json_schema(),
            result=handler.result.model_json_schema(mode="serialization"),
        )


class JobTypesView(Body):
    """All types of job, sorted by name."""

    data: list[JobTypeView]


class JobsView(Body):
    """The jobs that `ids` named, in that order; `missing` has the ids of jobs not found."""

    data: list[JobView]
    missing: list[str]
    poll_after_ms: int


class JobPage(Body):
    """A page of the caller's jobs, newest first."""

    data: list[JobView]
    next_cursor: str | None
    has_more: bool
