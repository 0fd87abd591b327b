"""JSON responses, encoded by msgspec: the framework's own way is slower."""

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Response

JSON = "application/json"


def json_response(
    content: Any, headers: Mapping[str, str] | None = None, *, status: int | None = None
) -> Response[Any]:
    """`content` as a JSON response. `msgspec.Raw` values in it are JSON already.

    `status` None is the one that the handler declares.
    """
    return Response(
        msgspec.json.encode(content),
        media_type=JSON,
        headers=dict(headers or {}),
        status_code=status,
    )
