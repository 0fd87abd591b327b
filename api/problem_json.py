"""How a problem is told: as problem+json (RFC 9457), whoever answers."""

from typing import Any

import msgspec

from api.problems import ApiError

PROBLEM_MEDIA_TYPE = "application/problem+json"


def outline(kind: type[ApiError]) -> dict[str, Any]:
    """What all problem documents of one kind have in common."""
    return {
        "type": f"urn:millrace:problem:{kind.code}",
        "title": kind.title,
        "status": kind.status,
        "code": kind.code,
        "remediation": kind.remediation,
    }


def render(error: ApiError, *, ref: str | None = None) -> dict[str, Any]:
    """The problem document of `error`; `ref` is the request id that logs carry too."""
    body = outline(type(error))
    if error.detail:
        body["detail"] = error.detail
    if error.errors:
        body["errors"] = error.errors
    if ref:
        body["ref"] = ref
    return body


def answer_of(error: ApiError, *, ref: str | None = None) -> tuple[dict[str, str], bytes]:
    """The header fields, with names in lower case, and the body of the answer for `error`."""
    body = msgspec.json.encode(render(error, ref=ref))
    fields = {
        "content-type": PROBLEM_MEDIA_TYPE,
        "content-length": str(len(body)),
        "cache-control": "no-store",
    }
    return fields | {name.lower(): value for name, value in error.headers.items()}, body
