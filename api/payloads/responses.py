"""Answers in JSON that is encoded here, and not by the framework's slower way."""

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Response

JSON = "application/json"


def json_response(
    content: Any, headers: Mapping[str, str] | None = None, *, status: int | None = None
) -> Response[Any]:
    """`content` as JSON. `msgspec.Raw` values are put in as they are; `status` None is usual."""
    return Response(
        msgspec.json.encode(content),
        media_type=JSON,
        headers=dict(headers or {}),
        status_code=status,
    )
