"""The JSON bodies of requests and answers, as the OpenAPI document describes them."""

from typing import Annotated, Any, Literal

from pydantic import Field

from api.payloads.models import Body, View, example

MAX_BATCH = 100  # events in one request
MAX_TOPICS = 50  # of one ticket

IDEMPOTENCY_KEY = r"^[\x21-\x7e]{1,255}$"

IdempotencyKey = Annotated[str, Field(pattern=IDEMPOTENCY_KEY)]


class PublishBody(Body):
    """Request body of `POST /api/events/{topic}`: an event to publish on this topic."""

    model_config = example(type="order.shipped", data={"order": 42})

    type: str = Field(examples=["order.shipped"], description="A letter, then letters or _.-")
    data: Any = Field(default=None, examples=[{"order": 42}], description="Any JSON.")


class BatchItem(PublishBody):
    """One event of a batch, with the topic to publish it on.

    With an `idempotency_key` it is stored once, however often it is sent.
    """

    model_config = example(topic="public:orders", type="order.shipped", data={"order": 42})

    topic: str = Field(examples=["public:orders"])
    idempotency_key: IdempotencyKey | None = None


class BatchBody(Body):
    """Request body of `POST /api/events`: events to publish.

    Those of one topic are stored in the order of the list.
    """

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
    """The result of one event of a batch.

    `status` is 201 with the `id` of the stored event, or the status of an error with its `problem`.
    """

    status: int
    id: str | None = None
    problem: dict[str, Any] | None = None


class BatchView(View):
    """The results of a batch, in the order of its events."""

    results: list[BatchResult]


class EventView(View):
    """An event, as it is in JSON answers and in the `data:` of frames.

    `id` is its position in the log of its topic, and `time` is when it was stored.
    """

    id: str = Field(examples=["1763650000000-0"])
    topic: str = Field(examples=["user:42:notifications"])
    type: str = Field(examples=["notification"])
    time: str = Field(examples=["2026-11-20T12:00:00.000Z"])
    data: Any


class ResetView(View):
    """Events were lost on these topics. Fetch their state again from `refetch`."""

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
    """Events were lost on these topics.

    Fetch their state from `refetch`; the stream goes on from now.
    """

    type: Literal["reset"]


class ByeControl(View):
    """The last frame of a stream, which the server ends for this `reason`.

    Reconnect after `retry_ms` milliseconds with the last id. An EventSource does so by itself.
    """

    type: Literal["bye"]
    reason: Literal["rotate", "deadline", "overflow", "shutdown", "unauthorized"]
    retry_ms: int


class PollView(View):
    """The events after the cursor of the request.

    Send `cursor` with the next request, after `poll_after_ms` milliseconds; 0 means at once.
    `reset` names the topics that lost events, null if there are none.
    """

    events: list[EventView]
    cursor: str
    reset: list[ResetView] | None
    poll_after_ms: int


class HistoryView(View):
    """A page of the past events of one topic, newest first.

    Send `before` with the next request to get older events; null means that there are none.
    """

    events: list[EventView]
    before: str | None
    has_more: bool


class TicketBody(Body):
    """Request body of `POST /api/stream-tickets`: the topics that the ticket is for."""

    model_config = example(topics=["public:orders"])

    topics: Annotated[list[str], Field(min_length=1, max_length=MAX_TOPICS)]


class TicketView(View):
    """A ticket for one connection: send it as `GET /api/events?ticket=…` before `expires_at`."""

    ticket: str
    expires_at: str
