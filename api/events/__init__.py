"""Events: they are published to topics, kept in logs, and streamed to those who may read them.

This is the face of the package: code outside of it imports nothing else of it. An event passes
through the modules in this order: `http` receives it, `publisher` stores it in its `log`, the
poller in `live` reads it into this process, and `delivery` writes it to each connection. `stream`
is the life of one connection, from its opening to its last frame.

Names that need the web framework are loaded when they are first used, because a worker serves no
requests and starts faster without the framework.
"""

from typing import TYPE_CHECKING

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
from api.lazy_names import lazy_names

if TYPE_CHECKING:
    from api.events.http.asyncapi import describe_asyncapi
    from api.events.http.openapi import describe_events, describe_stream
    from api.events.http.parameters import (
        LAST_EVENT_ID,
        MAX_HISTORY,
        MAX_WAIT_S,
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

__getattr__ = lazy_names(
    __name__,
    [
        *("stream.opening", "http.read", "http.parameters", "http.routes"),
        *("http.schemas", "http.openapi", "http.asyncapi"),
    ],
)
