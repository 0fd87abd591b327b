"""Writes problems as problem+json (RFC 9457)."""

from typing import Any

import msgspec

from api.problems import ApiError

PROBLEM_MEDIA_TYPE = "application/problem+json"


def outline(kind: type[ApiError]) -> dict[str, Any]:
    """Return what all problem documents of one kind share: type, title, status, code, remedy."""
    return {
        "type": f"urn:millrace:problem:{kind.code}",
        "title": kind.title,
        "status": kind.status,
        "code": kind.code,
        "remediation": kind.remediation,
    }


def render(error: ApiError, *, ref: str | None = None) -> dict[str, Any]:
    """Return the problem document of `error` as a JSON object.

    `ref` is the request id, which is in the logs too; None leaves it out.
    """
    body = outline(type(error))
    if error.detail:
        body["detail"] = error.detail
    if error.errors:
        body["errors"] = error.errors
    if ref:
        body["ref"] = ref
    return body


def answer_of(error: ApiError, *, ref: str | None = None) -> tuple[dict[str, str], bytes]:
    """Return the header fields, with lower-case names, and the body of the HTTP answer for `error`.

    `ref` is the request id for the document; None leaves it out.
    """
    body = msgspec.json.encode(render(error, ref=ref))
    fields = {
        "content-type": PROBLEM_MEDIA_TYPE,
        "content-length": str(len(body)),
        "cache-control": "no-store",
    }
    return fields | {name.lower(): value for name, value in error.headers.items()}, body
