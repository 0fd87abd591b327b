"""Events: published to topics, kept in logs, and streamed to whoever may read them.

The face of the package: nothing outside of it imports anything else of it. What needs the web
framework is loaded when it is first asked for, because workers serve no requests and start
faster without it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from api.events.catalogue import Catalogue
from api.events.cursor import Cursor, CursorWriter, cursor_text
from api.events.delivery import sse
from api.events.delivery.connection import Connection, Message, body
from api.events.event import EVENT_TYPE, RESERVED_TYPES, Event, EventId
from api.events.feature import EventParts, build_events
from api.events.live.hub import Hub
from api.events.live.poller import JITTER, Pace, Poller
from api.events.log.entries import EVENT_FIELD, Span, entries_of, xadd, xrevrange
from api.events.log.history import HistoryPage, Shows, page_back
from api.events.log.page import LogPage
from api.events.log.retention import Retention, Retentions
from api.events.log.topic_log import TopicLog
from api.events.publisher import Draft, Published, Publisher
from api.events.read_request import ReadRequest
from api.events.reasons import CloseReason
from api.events.stream.deadline import FUNCTION_HOLD_S, Deadline, Deadlines, rotation, window
from api.events.stream.open_streams import OpenStreams
from api.events.stream.session import Session, Streaming
from api.events.topic import TopicName, log_key, parse_topic

if TYPE_CHECKING:
    from api.events.http.asyncapi import describe_asyncapi
    from api.events.http.openapi import describe_events, describe_stream
    from api.events.http.parameters import (
        LAST_EVENT_ID,
        MAX_HISTORY,
        Conn,
        CursorParameter,
        History,
        IdempotencyHeader,
        LastEventId,
        LastEventIdInQuery,
        Limit,
        Named,
        PageCursor,
        Types,
        Wait,
    )
    from api.events.http.read import (
        answer_read,
        encoded,
        first_cursor,
        require_stream_accepted,
        wants_json,
    )
    from api.events.http.routes import event_routes
    from api.events.http.schemas import REF, ref
    from api.events.stream.opening import (
        AnyRequest,
        Events,
        EventStream,
        Serve,
        admit_long_poll,
        admit_stream,
        one_message,
        open_stream,
    )

_SERVING = {
    "http.asyncapi": ("describe_asyncapi",),
    "http.openapi": (
        "describe_events",
        "describe_stream",
    ),
    "http.parameters": (
        "LAST_EVENT_ID",
        "MAX_HISTORY",
        "Conn",
        "CursorParameter",
        "History",
        "IdempotencyHeader",
        "LastEventId",
        "LastEventIdInQuery",
        "Limit",
        "Named",
        "PageCursor",
        "Types",
        "Wait",
    ),
    "http.read": (
        "answer_read",
        "encoded",
        "first_cursor",
        "require_stream_accepted",
        "wants_json",
    ),
    "http.routes": ("event_routes",),
    "http.schemas": (
        "REF",
        "ref",
    ),
    "stream.opening": (
        "AnyRequest",
        "EventStream",
        "Serve",
        "one_message",
        "Events",
        "admit_long_poll",
        "admit_stream",
        "open_stream",
    ),
}
_MODULE_OF = {name: module for module, names in _SERVING.items() for name in names}

__all__ = [
    "EVENT_FIELD",
    "EVENT_TYPE",
    "FUNCTION_HOLD_S",
    "JITTER",
    "LAST_EVENT_ID",
    "MAX_HISTORY",
    "REF",
    "RESERVED_TYPES",
    "AnyRequest",
    "Catalogue",
    "CloseReason",
    "Conn",
    "Connection",
    "Cursor",
    "CursorParameter",
    "CursorWriter",
    "Deadline",
    "Deadlines",
    "Draft",
    "Event",
    "EventId",
    "EventParts",
    "EventStream",
    "Events",
    "History",
    "HistoryPage",
    "Hub",
    "IdempotencyHeader",
    "LastEventId",
    "LastEventIdInQuery",
    "Limit",
    "LogPage",
    "Message",
    "Named",
    "OpenStreams",
    "Pace",
    "PageCursor",
    "Poller",
    "Published",
    "Publisher",
    "ReadRequest",
    "Retention",
    "Retentions",
    "Serve",
    "Session",
    "Shows",
    "Span",
    "Streaming",
    "TopicLog",
    "TopicName",
    "Types",
    "Wait",
    "admit_long_poll",
    "admit_stream",
    "answer_read",
    "body",
    "build_events",
    "cursor_text",
    "describe_asyncapi",
    "describe_events",
    "describe_stream",
    "encoded",
    "entries_of",
    "event_routes",
    "first_cursor",
    "log_key",
    "one_message",
    "open_stream",
    "page_back",
    "parse_topic",
    "ref",
    "require_stream_accepted",
    "rotation",
    "sse",
    "wants_json",
    "window",
    "xadd",
    "xrevrange",
]


def __getattr__(name: str) -> Any:
    """What serves requests (PEP 562). Raises `AttributeError` for an unknown name."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"api.events.{_MODULE_OF[name]}")
    value = getattr(module, name)
    globals()[name] = value
    return value
