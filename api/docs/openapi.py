"""Adds to the OpenAPI document what the framework does not know.

The framework knows paths, parameters and bodies. Added here are the problems that an operation can
answer with, with their codes as examples, who may call it, and the headers of each answer.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api import problems
from api.chat.ably.errors import ably_error
from api.problem_json import PROBLEM_MEDIA_TYPE, outline
from api.problems import ApiError
from api.security.cookies import SESSION_COOKIE

Document = dict[str, Any]
Problems = Sequence[type[ApiError]]

VERSION = "0.1.0"
ALWAYS: Problems = (problems.ApiError,)
WITH_INPUT: Problems = (problems.BadRequest,)
WITH_BODY: Problems = (
    problems.PayloadTooLarge,
    problems.UnsupportedMediaType,
    problems.ValidationFailed,
)
SIGNED_IN: Problems = (
    problems.BadRequest,
    problems.Unauthorized,
    problems.TokenExpired,
    problems.StoreUnavailable,
    problems.KeysUnavailable,
)
CALLER: list[dict[str, list[str]]] = [{"bearer": []}, {"cookie": []}]

SECURITY_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A session token, or a token of the team's own issuer.",
    },
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": SESSION_COOKIE,
        "description": "A session token. Writes must come from an allowed Origin.",
    },
    "ticket": {
        "type": "apiKey",
        "in": "query",
        "name": "ticket",
        "description": "One connection, within a minute, from POST /api/stream-tickets.",
    },
}

PROBLEM_SCHEMA = {
    "type": "object",
    "description": "What went wrong (RFC 9457), and what to do first.",
    "required": ["type", "title", "status", "code", "remediation"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable; for programs."},
        "remediation": {"type": "string", "description": "What to do first."},
        "detail": {"type": "string", "description": "What happened this time."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {
                    "field": {"type": "string", "description": "Dotted path or parameter."},
                    "message": {"type": "string"},
                },
            },
        },
        "ref": {"type": "string", "description": "The X-Request-Id, for the operator."},
    },
}

ABLY_ERROR_SCHEMA = {
    "type": "object",
    "description": "What went wrong, as Ably's SDKs read it.",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "statusCode", "message"],
            "properties": {
                "code": {"type": "integer"},
                "statusCode": {"type": "integer"},
                "message": {"type": "string"},
            },
        }
    },
}

HEADERS = {
    "X-Request-Id": {
        "description": "Of this request: the one that was sent if it is valid, else a new one.",
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "Seconds to wait before the next try.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "WWW-Authenticate": {"schema": {"type": "string", "const": "Bearer"}},
}
# The headers of an answer beside X-Request-Id, by its status.
HEADERS_OF = {"401": ["WWW-Authenticate"], "429": ["Retry-After"], "503": ["Retry-After"]}


NO_CONTENT = "204"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the code declares of one operation, beside what the framework reads itself.

    `problems` are those of its own, `needs_caller` says that a caller must be signed in, and
    `takes_ticket` that a ticket is enough. `error_form` is "problem" for problem+json and "ably"
    for the errors that Ably's SDKs read.
    """

    problems: Problems
    needs_caller: bool
    takes_ticket: bool = False
    error_form: str = "problem"


def complete(document: Document, facts: Mapping[str, Facts]) -> Document:
    """Add to `document`, in place, what the framework leaves out, and return it.

    `facts` are by operation id, and every operation of the document must have its facts.
    """
    components = document["components"]
    components["schemas"]["Problem"] = PROBLEM_SCHEMA
    components["schemas"]["AblyError"] = ABLY_ERROR_SCHEMA
    components["securitySchemes"] = SECURITY_SCHEMES
    components["headers"] = HEADERS
    for path in document["paths"].values():
        for operation in path.values():
            _complete_operation(operation, facts[operation["operationId"]])
            _show_example(operation, components["schemas"])
    return document


def _complete_operation(operation: Document, facts: Facts) -> None:
    operation["summary"] = operation.pop("description").rstrip(".")
    operation["parameters"] = [_plain(one) for one in operation.get("parameters", ())]
    operation.setdefault("security", _callers(facts))
    good = {status: answer for status, answer in operation["responses"].items() if status < "400"}
    form = ably_responses if facts.error_form == "ably" else problem_responses
    operation["responses"] = good | form(_all_problems(operation, facts))
    for status, answer in operation["responses"].items():
        if status == NO_CONTENT:
            answer.pop("content", None)
        headers = answer.setdefault("headers", {})
        for name in ["X-Request-Id", *HEADERS_OF.get(status, [])]:
            headers.setdefault(name, {"$ref": f"#/components/headers/{name}"})


def _show_example(operation: Document, schemas: Document) -> None:
    """Copy the example of a body's model to the operation, where pages that try it read it."""
    for content in operation.get("requestBody", {}).get("content", {}).values():
        name = content["schema"]["$ref"].rpartition("/")[2]
        if examples := schemas[name].get("examples"):
            content["example"] = examples[0]


def _callers(facts: Facts) -> list[dict[str, list[str]]]:
    ticket: list[dict[str, list[str]]] = [{"ticket": []}] if facts.takes_ticket else []
    return [*CALLER, *ticket] if facts.needs_caller else []


def _plain(parameter: Document) -> Document:
    """Return a parameter without flags that are off and without null, which cannot be sent."""
    schema = dict(parameter["schema"])
    if options := schema.pop("oneOf", None):
        schema |= next(option for option in options if option != {"type": "null"})
    return {key: value for key, value in parameter.items() if value} | {"schema": schema}


def _all_problems(operation: Document, facts: Facts) -> list[type[ApiError]]:
    found = [*ALWAYS, *facts.problems]
    if operation.get("parameters"):
        found += WITH_INPUT
    if operation.get("requestBody"):
        found += [*WITH_INPUT, *WITH_BODY]
    if facts.needs_caller:
        found += SIGNED_IN
    return list(dict.fromkeys(found))


def problem_responses(kinds: Iterable[type[ApiError]]) -> dict[str, Document]:
    """Build the OpenAPI responses for these problems: by status, with the codes it may carry."""
    by_status: dict[str, list[type[ApiError]]] = {}
    for kind in sorted(kinds, key=lambda kind: (kind.status, kind.code)):
        by_status.setdefault(str(kind.status), []).append(kind)
    return {status: _problem_response(some) for status, some in by_status.items()}


def ably_responses(kinds: Iterable[type[ApiError]]) -> dict[str, Document]:
    """Build the responses for operations that Ably's SDKs call, whose errors have another form."""
    by_status: dict[str, Document] = {}
    for kind in sorted(kinds, key=lambda kind: (kind.status, kind.code)):
        status, body = ably_error(kind)
        answer = by_status.setdefault(str(status), {"description": kind.title, "content": {}})
        shown = answer["content"].setdefault(
            "application/json",
            {"schema": {"$ref": "#/components/schemas/AblyError"}, "examples": {}},
        )
        shown["examples"][kind.code] = {"summary": kind.title, "value": body}
    return by_status


def _problem_response(kinds: Sequence[type[ApiError]]) -> Document:
    codes = {
        "properties": {
            # With its type: generators of clients drop an answer if the two parts differ in it.
            "status": {"type": "integer", "enum": [kinds[0].status]},
            "code": {"type": "string", "enum": [kind.code for kind in kinds]},
        }
    }
    examples = {kind.code: {"summary": kind.title, "value": outline(kind)} for kind in kinds}
    schema = {"allOf": [{"$ref": "#/components/schemas/Problem"}, codes]}
    return {
        "description": "; ".join(kind.title for kind in kinds),
        "content": {PROBLEM_MEDIA_TYPE: {"schema": schema, "examples": examples}},
    }
