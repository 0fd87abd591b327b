"""The types of query parameters and headers, with the descriptions in the OpenAPI document.

Other features use them for their own routes.
"""

from typing import Annotated

from litestar.params import HeaderParameter, QueryParameter

from api.events.cursor import MAX_TOPICS
from api.events.http.models import IDEMPOTENCY_KEY

MAX_HISTORY = 100  # events
MAX_WAIT_S = 25
LAST_EVENT_ID = "lastEventId"
"""The query parameter that stands for the header `Last-Event-ID`."""

Topics = Annotated[
    list[str],
    QueryParameter(
        name="topic",
        min_items=1,
        max_items=MAX_TOPICS,
        required=True,
        description="A topic to read; give it once for each.",
    ),
]
LastEventId = Annotated[
    str | None,
    HeaderParameter(
        name="Last-Event-ID",
        description="The cursor to go on from: the last `id:` received. Wins over the query.",
    ),
]
LastEventIdInQuery = Annotated[
    str | None,
    QueryParameter(
        name=LAST_EVENT_ID,
        description="As Last-Event-ID, from clients that can set no header. Wins over `cursor`.",
    ),
]
CursorParameter = Annotated[
    str | None,
    QueryParameter(name="cursor", description="As Last-Event-ID. Without either: from now on."),
]
Types = Annotated[
    str | None,
    QueryParameter(
        name="types",
        description="Only these event types, comma separated. The cursor passes the others too.",
    ),
]
Named = Annotated[
    bool,
    QueryParameter(
        name="named",
        description="`false` leaves out the `event:` lines, for a bare `onmessage`.",
    ),
]
History = Annotated[
    int,
    QueryParameter(
        name="history",
        ge=0,
        le=MAX_HISTORY,
        description="Without a cursor: start with so many of the newest events, oldest first.",
    ),
]
Wait = Annotated[
    int,
    QueryParameter(
        name="wait",
        ge=0,
        le=MAX_WAIT_S,
        description="JSON only: hold the answer for so many seconds until there is news.",
    ),
]
Conn = Annotated[
    str | None,
    QueryParameter(
        name="conn",
        description="The client's name for its stream: a reconnect replaces its own lease.",
    ),
]
Limit = Annotated[
    int, QueryParameter(name="limit", ge=1, le=MAX_HISTORY, description="Events at most.")
]
Before = Annotated[
    str | None,
    QueryParameter(name="before", description="Only events before this id: the next page."),
]
PageCursor = Annotated[
    str | None,
    QueryParameter(name="cursor", description="The `next_cursor` of the page before."),
]
IdempotencyHeader = Annotated[
    str | None,
    HeaderParameter(
        name="Idempotency-Key",
        pattern=IDEMPOTENCY_KEY,
        description="It is done once, however often it is sent with this key.",
    ),
]
