"""The bytes on the wire: Server-Sent Events (WHATWG HTML, section 9.2).

In the form that all clients read alike: LF only, one `data:` line, `id:` after it, each
frame in one write.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from api.events.event import Event
from api.events.reasons import CloseReason, ResetReason
from api.events.topic import TopicName

MEDIA_TYPE = "text/event-stream"
KEEP_ALIVE = b": keep-alive\n\n"


def event_frame(event: Event, cursor: bytes, *, named: bool) -> bytes:
    """One event; what stands before the cursor is shared by all readers of the event."""
    if named:
        return b"event: %s\ndata: %s\nid: %s\n\n" % (event.type.encode(), event.body, cursor)
    return b"data: %s\nid: %s\n\n" % (event.body, cursor)


def control_frame(kind: str, data: dict[str, Any], *, cursor: bytes | None, named: bool) -> bytes:
    """A `connected`, `reset` or `bye`. Its type is in the data too, for `named=False`."""
    lines = [b"event: " + kind.encode()] if named else []
    lines.append(b"data: " + msgspec.json.encode({"type": kind, **data}))
    if cursor is not None:
        lines.append(b"id: " + cursor)
    return b"\n".join(lines) + b"\n\n"


def opening(retry_ms: int) -> bytes:
    """The first bytes of each stream: they open it in the client and set its pause."""
    return b": millrace\nretry: %d\n\n" % retry_ms


def come_back(retry_ms: int, why: str) -> bytes:
    """A whole stream for a client that should try later.

    An EventSource closes for good on any status but 200, so overload is not a status.
    """
    return b"retry: %d\n: %s\n\n" % (retry_ms, why.encode())


def connected(
    topics: Sequence[TopicName], *, cursor: bytes, time: str, keep_alive_s: int, named: bool
) -> bytes:
    """The first frame: with its cursor even a stream cut before its first event resumes."""
    data = {
        "topics": list(topics),
        "cursor": cursor.decode(),
        "time": time,
        "keep_alive_s": keep_alive_s,
    }
    return control_frame("connected", data, cursor=cursor, named=named)


def reset_data(topics: Sequence[TopicName], reason: ResetReason) -> dict[str, Any]:
    """What a `reset` says: which topics lost events, why, and where to fetch their state."""
    query = "&".join(f"topic={topic}" for topic in topics)
    return {
        "topics": list(topics),
        "reason": reason.value,
        "refetch": f"/api/events?{query}&history=100",
    }


def bye(reason: CloseReason, retry_ms: int, *, cursor: bytes | None, named: bool) -> bytes:
    """The last frame. Without a cursor the client keeps the id of the last event it got."""
    data = {"reason": reason.value, "retry_ms": retry_ms}
    frame = control_frame("bye", data, cursor=cursor, named=named)
    return b"retry: %d\n" % retry_ms + frame
