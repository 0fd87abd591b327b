"""The JSON that comes in and goes out, as the OpenAPI document describes it."""

from typing import Annotated, Any, Literal

from pydantic import Field

from api.payloads.models import Body, View, example

MAX_BATCH = 100
MAX_TOPICS = 50

IDEMPOTENCY_KEY = r"^[\x21-\x7e]{1,255}$"

IdempotencyKey = Annotated[str, Field(pattern=IDEMPOTENCY_KEY)]


class PublishBody(Body):
    """An event to publish."""

    model_config = example(type="order.shipped", data={"order": 42})

    type: str = Field(examples=["order.shipped"], description="A letter, then letters or _.-")
    data: Any = Field(default=None, examples=[{"order": 42}], description="Any JSON.")


class BatchItem(PublishBody):
    """An event to publish, with its topic."""

    model_config = example(topic="public:orders", type="order.shipped", data={"order": 42})

    topic: str = Field(examples=["public:orders"])
    idempotency_key: IdempotencyKey | None = None


class BatchBody(Body):
    """Events to publish; those of one topic are stored in this order."""

    model_config = example(
        events=[
            {"topic": "public:orders", "type": "order.shipped", "data": {"order": 42}},
            {"topic": "user:bob:orders", "type": "order.shipped", "data": {"order": 43}},
        ]
    )

    events: Annotated[list[BatchItem], Field(min_length=1, max_length=MAX_BATCH)]


class PublishedView(View):
    """The id of the event that was stored."""

    id: str = Field(examples=["1763650000000-0"])


class BatchResult(View):
    """`status` 201 with the event's `id`, or another status with a `problem`."""

    status: int
    id: str | None = None
    problem: dict[str, Any] | None = None


class BatchView(View):
    """One result for each event, in the order of the request."""

    results: list[BatchResult]


class EventView(View):
    """An event, in JSON answers and in the `data:` of a frame alike."""

    id: str = Field(examples=["1763650000000-0"])
    topic: str = Field(examples=["user:42:notifications"])
    type: str = Field(examples=["notification"])
    time: str = Field(examples=["2026-11-20T12:00:00.000Z"])
    data: Any


class ResetView(View):
    """Events were lost on these topics: fetch their state anew from `refetch`."""

    topics: list[str]
    reason: Literal["trimmed", "expired", "unknown"]
    refetch: str


class ConnectedControl(View):
    """The first frame of a stream. Its cursor is where the stream starts."""

    type: Literal["connected"]
    topics: list[str]
    cursor: str
    time: str = Field(examples=["2026-11-20T12:00:00.000Z"])
    keep_alive_s: int = Field(description="Seconds between the comments that show life.")


class ResetControl(ResetView):
    """Events were lost; the stream goes on with what comes from now."""

    type: Literal["reset"]


class ByeControl(View):
    """The last frame. Reconnect after `retry_ms` with the last id; EventSource does."""

    type: Literal["bye"]
    reason: Literal["rotate", "deadline", "overflow", "shutdown", "unauthorized"]
    retry_ms: int


class PollView(View):
    """What is new behind the cursor. `poll_after_ms` 0 means: ask again at once."""

    events: list[EventView]
    cursor: str
    reset: list[ResetView] | None
    poll_after_ms: int


class HistoryView(View):
    """A page of a topic's past, newest first; `before` leads to the next page, null at the end."""

    events: list[EventView]
    before: str | None
    has_more: bool


class TicketBody(Body):
    """The topics that a ticket is for."""

    model_config = example(topics=["public:orders"])

    topics: Annotated[list[str], Field(min_length=1, max_length=MAX_TOPICS)]


class TicketView(View):
    """For one connection: `GET /api/events?ticket=…` with these topics, within a minute."""

    ticket: str
    expires_at: str
