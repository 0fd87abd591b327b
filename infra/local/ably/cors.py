"""What browsers need to see before they show an answer to a page."""

from __future__ import annotations

from collections.abc import Mapping

_METHODS = "GET, POST, PUT, PATCH, DELETE, OPTIONS"
_EXPOSED = "Link, Transfer-Encoding, Content-Length, X-Ably-ErrorCode, X-Ably-ErrorMessage"


def cors(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers for a request's Origin; a page may send credentials, so `*` would not do."""
    origin = headers.get("origin")
    if origin is None:
        return {}
    allowed = {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": _EXPOSED,
        "Vary": "Origin",
    }
    if (wanted := headers.get("access-control-request-headers")) is not None:
        allowed["Access-Control-Allow-Headers"] = wanted
        allowed["Access-Control-Allow-Methods"] = _METHODS
    return allowed
