"""Adds streams, polls and declared event types to the OpenAPI document.

Litestar makes the document from the handlers, and cannot derive these from them.
"""

from typing import Any

from api.events.catalogue import Catalogue
from api.events.delivery import sse
from api.events.http.schemas import data_schemas, draft_schema, ref, wire_schemas

Document = dict[str, Any]
"""An OpenAPI document or a part of it, as decoded JSON."""

STREAM_TEXT = """\
Server-Sent Events, UTF-8, LF only. First a comment and `retry:`, then `connected`, then events
as they come. `id:` is the cursor to resume from: send it back as `Last-Event-ID` or `cursor`.
A line that starts with a colon is a keep-alive comment. Controls: `connected`, `reset` (events
were lost: refetch) and `bye` (the server ends the stream: reconnect after `retry:`). With
`named=false` there are no `event:` lines; the type is in the data as well.

The `data:` of each frame is one of the schemas EventView, ConnectedControl, ResetControl and
ByeControl. A server that is overloaded or about to end answers 200 with `retry:` and a comment
and ends, because an EventSource gives up for good on any other status.
"""
STREAM_EXAMPLE = """\
: millrace
retry: 2113

event: connected
data: {"type":"connected","topics":["public:orders"],"cursor":"AQHk…","time":"2026-11-20T12:00:00.000Z","keep_alive_s":15}
id: AQHk…

event: order.shipped
data: {"id":"1763640000000-0","topic":"public:orders","type":"order.shipped","time":"2026-11-20T12:00:00.000Z","data":{"order":42}}
id: AQHl…

: keep-alive

retry: 1874
event: bye
data: {"type":"bye","reason":"rotate","retry_ms":1874}
id: AQHl…

"""  # noqa: E501  # a frame's data is one line
POLL_HEADERS = {
    "ETag": {
        "description": "Of the cursor, for If-None-Match. With application/json only.",
        "schema": {"type": "string"},
    },
    "X-Poll-After-Ms": {
        "description": "When to ask again; 0 is at once. With application/json only.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "Cache-Control": {"schema": {"type": "string"}},
}
IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "description": "The ETag of the last answer: 304 when nothing is new.",
    "schema": {"type": "string"},
}
REPLAYED = {
    "Idempotency-Replayed": {
        "description": "Present when an earlier request had stored the event.",
        "schema": {"const": "true"},
    }
}


def describe_events(document: Document, catalogue: Catalogue) -> None:
    """Complete the operations and schemas of this package in `document`, which is changed in place.

    Every operation that takes an Idempotency-Key gets the header of a repeated answer too.
    """
    schemas = document["components"]["schemas"]
    schemas |= wire_schemas()
    operations = {
        operation["operationId"]: operation
        for path in document["paths"].values()
        for operation in path.values()
    }
    _describe_reading(operations["read_events"])
    for operation in operations.values():
        stored = operation["responses"].get("201")
        names = [one["name"] for one in operation.get("parameters", ())]
        if stored is not None and "Idempotency-Key" in names:
            stored["headers"] = dict(REPLAYED)
    _describe_types(schemas, catalogue)


def describe_stream(operation: Document) -> None:
    """Complete the answers of an operation that streams, in place.

    If it has the parameter `wait`, it answers with JSON too.
    """
    if any(parameter["name"] == "wait" for parameter in operation["parameters"]):
        _describe_reading(operation)
        return
    operation["responses"]["200"] = {
        "description": "A stream that is held open.",
        "content": {sse.MEDIA_TYPE: _stream()},
    }


def _stream() -> Document:
    schema = {"type": "string", "description": STREAM_TEXT}
    return {"schema": schema, "example": STREAM_EXAMPLE}


def _describe_reading(read: Document) -> None:
    read["parameters"].append(IF_NONE_MATCH)
    read["responses"]["200"] = {
        "description": "A stream that is held open, or one JSON answer: as `Accept` says.",
        "headers": dict(POLL_HEADERS),
        "content": {
            # First, so that a page that tries the operation out asks for the answer that ends.
            "application/json": {"schema": ref("PollView")},
            sse.MEDIA_TYPE: _stream(),
        },
    }
    read["responses"]["304"] = {
        "description": "Nothing is new behind the cursor of `If-None-Match`.",
        "headers": dict(POLL_HEADERS),
    }


def _describe_types(schemas: Document, catalogue: Catalogue) -> None:
    """Add the data schemas of declared types; events of other types have any data."""
    data = data_schemas(catalogue, "validation")
    schemas |= data.definitions
    if not data.to_publish:
        return
    declared = [draft_schema(kind, data.to_publish[kind.name]) for kind in catalogue]
    others = {"properties": {"type": {"not": {"enum": list(data.to_publish)}}}}
    for body in ("PublishBody", "BatchItem"):
        schemas[body]["oneOf"] = [*declared, others]
