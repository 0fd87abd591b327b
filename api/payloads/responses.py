"""Builds JSON responses with msgspec, which is faster than Litestar's own encoding."""

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Response

JSON = "application/json"
UNCACHED = {"Cache-Control": "private, no-cache"}
"""Only the caller's own cache may keep the answer, and it must ask again before it uses it."""


def json_response(
    content: Any, headers: Mapping[str, str] | None = None, *, status: int | None = None
) -> Response[Any]:
    """Return a response with `content` encoded as JSON and with these `headers`.

    A `msgspec.Raw` in `content` is JSON text that is put in as it is. `status` is the HTTP status;
    None means the one that the handler declares.
    """
    return Response(
        msgspec.json.encode(content),
        media_type=JSON,
        headers=dict(headers or {}),
        status_code=status,
    )


def page_response(
    data: Any, next_cursor: str | None, headers: Mapping[str, str] = UNCACHED, **others: Any
) -> Response[Any]:
    """Answer with one page of a list that is read by cursor; `next_cursor` None is the last page.

    `others` are further members of the JSON object.
    """
    page = {"data": data, "next_cursor": next_cursor, "has_more": next_cursor is not None}
    return json_response(page | others, headers)
