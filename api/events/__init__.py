"""Events: published to topics, kept in logs, and streamed to whoever may read them.

This is the face of the package: code outside imports nothing else of it. An event goes through
the rooms in this order: `http` takes it, the `publisher` puts it into its `log`, the poller in
`live` brings it to this process, `delivery` writes it to each connection. `stream` is the life
of one connection, from the opening to the last frame.

What needs the web framework is loaded when it is first asked for, because a worker serves no
requests and starts faster without it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from api.events.catalogue import Catalogue
from api.events.cursor import Cursor, CursorWriter, cursor_text
from api.events.delivery import sse
from api.events.delivery.connection import Connection, Message, body_message
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

# Those that only documents need come last.
_SERVING = (
    "stream.opening",
    "http.read",
    "http.parameters",
    "http.routes",
    "http.schemas",
    "http.openapi",
    "http.asyncapi",
)

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
    "body_message",
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
    """Load a name that is in one of `_SERVING` (PEP 562). Raises `AttributeError` for others."""
    for module in _SERVING if name in __all__ else ():
        found = vars(import_module(f"api.events.{module}"))
        if name in found:
            globals()[name] = found[name]
            return found[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
