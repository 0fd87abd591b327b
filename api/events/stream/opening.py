"""Opens streams: each is refused, or gets a deadline and a lease.

Features with streams of their own open them here too, so that all streams of a process are counted,
limited, refused and ended alike. The result is an `EventStream`, a response that hands the
connection over to a session.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from litestar import Request, Response
from litestar.response.base import ASGIResponse
from litestar.types import HTTPResponseStartEvent, Receive, Scope, Send

from api.events.delivery import sse
from api.events.delivery.connection import body_message
from api.events.publisher import Publisher
from api.events.read_request import ReadRequest
from api.events.stream.deadline import Deadline, Deadlines
from api.events.stream.session import Streaming, TopicSession, until_gone
from api.problems import BadRequest, OverConnectionLimit
from api.security.addresses import client_ip
from api.security.leases import Lease
from api.security.principal import Principal
from api.security.wiring import Security
from api.settings import Settings

ANONYMOUS_S = 10.0  # the longest stream of an anonymous caller that takes an instance
HEADERS = {
    "Content-Type": sse.MEDIA_TYPE,
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}

AnyRequest = Request[Any, Any, Any]
"""A request of Litestar, with any types of user and state."""
Serve = Callable[[Any, Any], Awaitable[None]]
"""Writes the body of a response after its head. Takes ASGI's `receive` and `send`."""
OnEnd = Callable[[], Coroutine[Any, Any, None]]
"""Called and awaited when a response has ended, for whatever reason."""


@dataclass(frozen=True, slots=True)
class Events:
    """What the handlers of all features use to read, publish and stream events."""

    streaming: Streaming
    publisher: Publisher
    security: Security
    deadlines: Deadlines
    settings: Settings


async def open_stream(
    request: AnyRequest,
    events: Events,
    read_request: ReadRequest,
    *,
    principal: Principal,
    conn: str | None,
    meanwhile: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> "EventStream":
    """Return the response that streams the topics of `read_request`.

    The caller must have checked that `principal` may read them. `conn` is the client's own name for
    its stream: a reconnect with the same name replaces the lease of the stream before; None is a
    new name. The context manager that `meanwhile()` returns is entered as long as the stream lasts.
    Raises `OverConnectionLimit`, and `BadRequest` if `conn` is malformed.
    """

    def session(deadline: Deadline) -> Serve:
        topic_session = TopicSession(
            events.streaming, read_request, deadline=deadline, expires_at=principal.expires_at
        )

        async def serve(receive: Any, send: Any) -> None:
            with meanwhile():
                await topic_session.run(receive, send)

        return serve

    return await admit_stream(request, events, session, principal=principal, conn=conn)


async def admit_stream(
    request: AnyRequest,
    events: Events,
    session: Callable[[Deadline], Serve],
    *,
    principal: Principal | None,
    conn: str | None,
) -> "EventStream":
    """Return a response that `session(deadline)` writes, under the limits that all streams have.

    The session must end at the deadline and when the caller's token expires. `principal` None means
    an anonymous caller, who needs no `conn` and has stricter limits. While the process is full or
    drains, the response only tells the client to come back. Raises as `open_stream` does.
    """
    streaming, anonymous_streams = events.streaming, events.security.anonymous_streams
    reason = streaming.open_streams.refusal
    if reason is None and principal is None and anonymous_streams.is_full:
        reason = "overloaded"
    if reason:
        streaming.metrics.refused.labels(reason).inc()
        return one_message(sse.come_back(streaming.pause_ms(), reason))
    deadline = events.deadlines(request.scope)
    if deadline.one_batch:  # a buffered answer holds nothing for long
        return EventStream(session(deadline))
    if principal is None:
        if deadline.is_alone:  # a few anonymous callers could otherwise take every instance
            lifetime_s = min(deadline.lifetime_s, ANONYMOUS_S)
            deadline = replace(deadline, lifetime_s=lifetime_s)
        return EventStream(session(deadline), on_end=_enter(request, events))
    lease = await _lease(request, events, principal, conn)
    return EventStream(session(deadline), on_end=lambda: events.security.connections.release(lease))


@asynccontextmanager
async def admit_long_poll(
    request: AnyRequest, events: Events, principal: Principal, conn: str | None = None
) -> AsyncIterator[None]:
    """Count a JSON answer that waits for events as one of the caller's streams.

    It counts during the `async with` block. When the client leaves, the block is cancelled and
    `BadRequest` is raised, which nobody receives: otherwise the next poll of this client could be
    refused because of the old one. Raises as `open_stream` does.
    """
    lease = await _lease(request, events, principal, conn)
    patience = asyncio.timeout(None)

    async def watch() -> None:
        await until_gone(request.receive)
        patience.reschedule(0)

    watching = asyncio.create_task(watch())
    try:
        async with patience:
            yield
    except TimeoutError:
        if not patience.expired():
            raise
        raise BadRequest("The client has left.") from None
    finally:
        watching.cancel()
        await asyncio.shield(events.security.connections.release(lease))


def _enter(request: AnyRequest, events: Events) -> OnEnd:
    """Count an anonymous stream; return the function to call at its end."""
    anonymous_streams, address = events.security.anonymous_streams, _address(request, events)
    try:
        anonymous_streams.enter(address)
    except OverConnectionLimit:
        events.streaming.metrics.refused.labels("over-limit").inc()
        raise

    async def leave() -> None:
        anonymous_streams.leave(address)

    return leave


async def _lease(
    request: AnyRequest, events: Events, principal: Principal, conn: str | None
) -> Lease:
    address = _address(request, events)
    try:
        return await events.security.connections.acquire(principal.id, address, conn or uuid4().hex)
    except OverConnectionLimit:
        events.streaming.metrics.refused.labels("over-limit").inc()
        raise


def _address(request: AnyRequest, events: Events) -> str:
    peer = request.client.host if request.client else None
    forwarded = request.headers.get("x-forwarded-for")
    return client_ip(peer, forwarded, events.settings.trusted_proxies)


async def _nothing() -> None:
    pass


class _TakenOver(ASGIResponse):
    """Sends the head and lets `serve` write the rest."""

    _should_set_content_length = False

    def __init__(self, serve: Serve, on_end: OnEnd) -> None:
        super().__init__(media_type=sse.MEDIA_TYPE, headers=HEADERS)
        self._serve = serve
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head: HTTPResponseStartEvent = {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.encode_headers(),
        }
        try:
            await send(head)
            # Middleware looks only at the head. Without its wrappers each event passes fewer calls.
            await self._serve(receive, scope["state"].get("raw_send", send))
        finally:
            await asyncio.shield(self._on_end())


class EventStream(Response[None]):
    """A `text/event-stream` response whose whole body is written by `serve(receive, send)`.

    Litestar's own streaming responses change threads, wake a task for each event, and leave the
    generator open when a stalled client leaves. This class keeps Litestar's guards, dependencies
    and headers. `on_end()` is awaited when the response ends, even if it never really began.
    """

    def __init__(self, serve: Serve, *, on_end: OnEnd = _nothing) -> None:
        super().__init__(None, media_type=sse.MEDIA_TYPE)
        self._serve = serve
        self._on_end = on_end

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIResponse:
        """Return the ASGI application that sends this response. Litestar calls this method."""
        return _TakenOver(self._serve, self._on_end)


def one_message(text: bytes) -> EventStream:
    """Return a stream that sends `text` as its whole body and ends."""

    async def serve(_: Any, send: Any) -> None:
        await send(body_message(text, more=False))

    return EventStream(serve)
