"""What the OpenAPI document says of jobs beyond what is read off the handlers.

These are the headers of answers, the stream of a job, and the input of each type of job.
"""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic.json_schema import models_json_schema

from api.events import REF, ref, sse
from api.jobs.model.handlers import JobHandler

Document = dict[str, Any]

STREAM_TEXT = """\
Server-Sent Events, UTF-8, LF only: `event: job`, the job as GET answers it in `data:`, its
version as `id:`. First the present state, unless `Last-Event-ID` is its version; then each
change. A stream that misses changes goes on with the newest. Behind the state that is done the
stream ends, and whoever comes back with its version gets 204, which closes an EventSource.
"""
STREAM_EXAMPLE = """\
: millrace
retry: 2113

event: job
data: {"id":"job_01KAJ7Z3Q8V5T2M9C4R6W1X0YB","object":"job","status":"running","version":3}
id: 3

"""
VALIDATORS = {
    "ETag": {
        "description": "Weak: the version, and the place in the queue while there is one.",
        "schema": {"type": "string"},
    },
    "Cache-Control": {"schema": {"type": "string"}},
}
POLLING = {
    **VALIDATORS,
    "X-Poll-After-Ms": {
        "description": "When to ask again; 0 when the job is done.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "Retry-After": {
        "description": "The same in whole seconds, while the job is not done.",
        "schema": {"type": "integer", "minimum": 1},
    },
}
PREFERENCE = {
    "Preference-Applied": {
        "description": "`wait=N`, where `Prefer` was followed.",
        "schema": {"type": "string"},
    }
}
LOCATION = {
    "Location": {
        "description": "Where the job is read.",
        "schema": {"type": "string", "format": "uri-reference"},
    }
}
REPLAYED = {
    "Idempotency-Replayed": {
        "description": "Present when an earlier request had created the job.",
        "schema": {"const": "true"},
    }
}
UNCHANGED = "The client has it already, or the wait was in vain."


def describe_jobs(document: Document, kinds: Sequence[JobHandler[Any, Any]]) -> None:
    """Complete the operations of jobs in `document`, in place.

    `kinds` are the handlers whose inputs become the alternatives of `JobBody`.
    """
    answers = {
        operation["operationId"]: operation["responses"]
        for path in document["paths"].values()
        for operation in path.values()
    }
    _describe_one(answers)
    _describe_several(answers)
    answers["stream_job"] |= {
        "200": {
            "description": "A stream that is held open until the job is done.",
            "content": {
                sse.MEDIA_TYPE: {
                    "schema": {"type": "string", "description": STREAM_TEXT},
                    "example": STREAM_EXAMPLE,
                }
            },
        },
        "204": {"description": "The job is done, and the client has its last state."},
    }
    _describe_kinds(document["components"]["schemas"], kinds)


def _describe_one(answers: Document) -> None:
    job = {"application/json": {"schema": ref("JobView")}}
    created = POLLING | LOCATION | REPLAYED
    answers["create_job"] |= {
        "202": {"description": "It waits for a worker.", "headers": created, "content": job},
        "200": {
            "description": "With `Prefer: wait=N`: it is done.",
            "headers": created | PREFERENCE,
            "content": job,
        },
    }
    answers["read_job"] |= {
        "200": {"description": "Its state.", "headers": POLLING | PREFERENCE, "content": job},
        "304": {"description": UNCHANGED, "headers": POLLING | PREFERENCE},
    }
    answers["cancel_job"] |= {
        "202": {"description": "It was asked to stop.", "headers": POLLING, "content": job},
        "200": {"description": "It was done before.", "headers": POLLING, "content": job},
    }
    answers["retry_job"]["202"] = {
        "description": "It waits for a worker again.",
        "headers": POLLING | LOCATION,
        "content": job,
    }


def _describe_several(answers: Document) -> None:
    answers["list_jobs"] |= {
        "200": {
            "description": "With `ids`: those jobs. Else: a page of the caller's jobs.",
            "headers": POLLING,
            "content": {
                "application/json": {"schema": {"oneOf": [ref("JobPage"), ref("JobsView")]}}
            },
        },
        "304": {"description": UNCHANGED, "headers": POLLING},
    }
    answers["read_job_result"]["200"] = {
        "description": "The result, as the type of job has it.",
        "content": {"application/json": {"schema": {}}},
    }


def _describe_kinds(schemas: Document, kinds: Sequence[JobHandler[Any, Any]]) -> None:
    """Give each type of job its own input in the body of `POST /api/jobs`."""
    mode: Literal["validation"] = "validation"
    found, rest = models_json_schema([(kind.input, mode) for kind in kinds], ref_template=REF)
    schemas |= rest.get("$defs", {})
    if kinds:
        schemas["JobBody"]["oneOf"] = [
            {
                "type": "object",
                "description": kind.summary,
                "required": ["type"],
                "properties": {"type": {"const": kind.name}, "input": found[kind.input, mode]},
            }
            for kind in kinds
        ]
