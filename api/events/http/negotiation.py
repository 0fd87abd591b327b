"""Which of our two forms a caller accepts: a stream or JSON (RFC 9110, section 12.5.1)."""

from litestar.datastructures.headers import Accept

from api.events.delivery import sse
from api.events.stream.opening import AnyRequest
from api.payloads.responses import JSON
from api.problems import NotAcceptable


def wants_json(request: AnyRequest) -> bool:
    """Whether the caller prefers JSON to a stream; raises NotAcceptable for neither."""
    best = _best(request, [sse.MEDIA_TYPE, JSON])
    if best is None:
        raise NotAcceptable
    return best == JSON


def require_stream_accepted(request: AnyRequest, json_path: str) -> None:
    """For a path that only streams; raises NotAcceptable, which names where JSON is."""
    if _best(request, [sse.MEDIA_TYPE]) is None:
        raise NotAcceptable(f"This path only streams; GET {json_path} answers JSON.")


def _best(request: AnyRequest, offered: list[str]) -> str | None:
    # An empty header is as good as none.
    accepted = request.headers.get("accept") or "*/*"
    if accepted == sse.MEDIA_TYPE:
        return sse.MEDIA_TYPE
    try:
        return Accept(accepted).best_match(offered)
    except OverflowError:  # it takes weights for numbers of any size
        return None
