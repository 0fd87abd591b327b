"""The query parameters and headers of jobs, with the texts that the OpenAPI document shows."""

from typing import Annotated

from litestar.params import HeaderParameter, QueryParameter

from api.events import LAST_EVENT_ID, MAX_WAIT_S
from api.jobs.model.job import JobStatus

MAX_IDS = 100
MAX_LIMIT = 100

Wait = Annotated[
    int,
    QueryParameter(
        name="wait",
        ge=0,
        le=MAX_WAIT_S,
        description="Hold the answer up to so many seconds, while the version is still `after`.",
    ),
]
After = Annotated[
    int | None,
    QueryParameter(name="after", ge=0, description="The `version` that the client has."),
]
Prefer = Annotated[
    str | None,
    HeaderParameter(
        name="Prefer", description="`wait=N`: as the parameter, and after If-None-Match's version."
    ),
]
PreferDone = Annotated[
    str | None,
    HeaderParameter(
        name="Prefer",
        description="`wait=N`, up to 20: answer 200 when the job is done in N seconds.",
    ),
]
IfNoneMatch = Annotated[
    str | None,
    HeaderParameter(name="If-None-Match", description="The ETag of the last answer."),
]
LastVersion = Annotated[
    str | None,
    HeaderParameter(name="Last-Event-ID", description="The version that the client has."),
]
LastVersionInQuery = Annotated[
    str | None,
    QueryParameter(
        name=LAST_EVENT_ID,
        description="As Last-Event-ID, from clients that can set no header. The header wins.",
    ),
]
Ids = Annotated[
    str | None,
    QueryParameter(name="ids", description=f"Up to {MAX_IDS} ids, comma separated: these jobs."),
]
Status = Annotated[JobStatus | None, QueryParameter(name="status", description="Only such jobs.")]
Type = Annotated[str | None, QueryParameter(name="type", description="Only jobs of this type.")]
Limit = Annotated[
    int, QueryParameter(name="limit", ge=1, le=MAX_LIMIT, description="Jobs at most.")
]
