"""Encodes Server-Sent Events (WHATWG HTML, section 9.2).

The form is one that all clients read alike: lines end with LF only, `data:` is one line, and `id:`
comes after it. The bytes go to a `Connection`, directly or through a `Cohort`.
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
CHUNK_BYTES = 65_536  # of frames that are sent in one write


def event_frame(event: Event, cursor: bytes, *, named: bool) -> bytes:
    """Return the frame of one event, with `cursor` as its `id:`.

    With `named` it has an `event:` line, which holds the event's type.
    """
    if named:
        return b"event: %s\ndata: %s\nid: %s\n\n" % (event.type.encode(), event.body, cursor)
    return b"data: %s\nid: %s\n\n" % (event.body, cursor)


def event_frames(
    selection: Selection, events: Iterable[Event], writer: CursorWriter
) -> list[bytes]:
    """Return a frame for each event that the selection shows, in their order.

    `writer` moves over every event, also over those that are not shown.
    """
    frames = []
    for event in events:
        writer.move(event.topic, event.id)
        if selection.shows(event):
            frames.append(event_frame(event, writer.text(), named=selection.named))
    return frames


def chunks_of(frames: Iterable[bytes]) -> list[bytes]:
    """Put the frames together, in their order, into few chunks of at most `CHUNK_BYTES` each.

    A larger frame is a chunk of its own. Without frames there are no chunks.
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
    """Return the frame of a control event: `kind` is `connected`, `reset` or `bye`.

    Its type is also in the data, for readers without `event:` lines (`named` False). A cursor of
    None leaves the `id:` out.
    """
    lines = [b"event: " + kind.encode()] if named else []
    lines.append(b"data: " + msgspec.json.encode({"type": kind, **data}))
    if cursor is not None:
        lines.append(b"id: " + cursor)
    return b"\n".join(lines) + b"\n\n"


def opening(retry_ms: int) -> bytes:
    """Return the first bytes of every stream.

    They open it in the client and set its retry pause.
    """
    return b": millrace\nretry: %d\n\n" % retry_ms


def come_back(retry_ms: int, why: str) -> bytes:
    """Return a whole stream that only tells the client to try again in `retry_ms` milliseconds.

    `why` is sent as a comment. Overload is not answered with an HTTP status, because an EventSource
    never tries again after any status but 200.
    """
    return b"retry: %d\n: %s\n\n" % (retry_ms, why.encode())


def connected(
    topics: Sequence[TopicName], *, cursor: bytes, time: str, keep_alive_s: int, named: bool
) -> bytes:
    """Return the control frame `connected`, the first frame of every stream of topics.

    It holds the cursor, so that a stream that breaks before its first event can be resumed too.
    `time` is the server's time in RFC 3339, and `keep_alive_s` the seconds between keep-alives.
    """
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
    """Return the control frame that tells the reader that events of `topic` were lost.

    `writer` moves to `head`, the newest entry of the topic, where the reader goes on.
    """
    writer.move(topic, head)
    data = reset_data([topic], reason)
    return control_frame("reset", data, cursor=writer.text(), named=named)


def reset_data(topics: Sequence[TopicName], reason: ResetReason) -> dict[str, Any]:
    """Return the data of a `reset`: which topics lost events, why, and where to refetch."""
    query = "&".join(f"topic={topic}" for topic in topics)
    return {
        "topics": list(topics),
        "reason": reason.value,
        "refetch": f"/api/events?{query}&history=100",
    }


def bye(reason: CloseReason, retry_ms: int, *, cursor: bytes | None, named: bool) -> bytes:
    """Return the control frame `bye`, the last frame of a stream, with a `retry:` of `retry_ms`.

    A `cursor` of None leaves the `id:` out: the client keeps the id of the last event that it got.
    """
    data = {"reason": reason.value, "retry_ms": retry_ms}
    frame = control_frame("bye", data, cursor=cursor, named=named)
    return b"retry: %d\n" % retry_ms + frame
