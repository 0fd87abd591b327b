"""The bytes on the wire: Server-Sent Events (WHATWG HTML, section 9.2).

Written in the form that all clients read alike: LF only, one `data:` line, `id:` after it. What
comes out of here goes to a `Connection`, directly or through a `Cohort`.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from api.events.cursor import CursorWriter
from api.events.event import Event, EventId
from api.events.read_request import Selection
from api.events.reasons import CloseReason, ResetReason
from api.events.topic import TopicName

MEDIA_TYPE = "text/event-stream"
KEEP_ALIVE = b": keep-alive\n\n"
CHUNK_BYTES = 65_536


def event_frame(event: Event, cursor: bytes, *, named: bool) -> bytes:
    """One event with the cursor behind it; `named` gives it an `event:` line."""
    if named:
        return b"event: %s\ndata: %s\nid: %s\n\n" % (event.type.encode(), event.body, cursor)
    return b"data: %s\nid: %s\n\n" % (event.body, cursor)


def event_frames(
    selection: Selection, events: Iterable[Event], writer: CursorWriter
) -> list[bytes]:
    """A frame for each event that the selection shows; the cursor moves over the others too."""
    frames = []
    for event in events:
        writer.move(event.topic, event.id)
        if selection.shows(event):
            frames.append(event_frame(event, writer.text(), named=selection.named))
    return frames


def chunks_of(frames: Iterable[bytes]) -> list[bytes]:
    """The frames put together, in their order, into few chunks of at most `CHUNK_BYTES` each.

    A frame that is larger is a chunk of its own.
    """
    chunks: list[bytes] = []
    pending: list[bytes] = []
    size = 0
    for frame in frames:
        if pending and size + len(frame) > CHUNK_BYTES:
            chunks.append(b"".join(pending))
            pending, size = [], 0
        pending.append(frame)
        size += len(frame)
    if pending:
        chunks.append(b"".join(pending))
    return chunks


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
    """A whole stream for a client that should try again in `retry_ms` milliseconds.

    An EventSource closes for good on any status but 200, so overload is not a status.
    """
    return b"retry: %d\n: %s\n\n" % (retry_ms, why.encode())


def connected(
    topics: Sequence[TopicName], *, cursor: bytes, time: str, keep_alive_s: int, named: bool
) -> bytes:
    """The first frame: because of its cursor a stream cut before its first event resumes too."""
    data = {
        "topics": list(topics),
        "cursor": cursor.decode(),
        "time": time,
        "keep_alive_s": keep_alive_s,
    }
    return control_frame("connected", data, cursor=cursor, named=named)


def reset(
    topic: TopicName, head: EventId, reason: ResetReason, writer: CursorWriter, *, named: bool
) -> bytes:
    """The frame that tells of lost events of `topic`; moves the cursor to `head`, its newest."""
    writer.move(topic, head)
    data = reset_data([topic], reason)
    return control_frame("reset", data, cursor=writer.text(), named=named)


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
