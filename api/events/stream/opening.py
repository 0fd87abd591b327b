"""How every stream is opened, whoever writes to it: refused, or given a deadline and a lease.

Features that have streams of their own open them here too, so that all streams of a process
are counted, limited, refused and ended alike. An opened stream is an `EventStream`: a response
that hands the connection over to a session.
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

ANONYMOUS_S = 10.0
HEADERS = {
    "Content-Type": sse.MEDIA_TYPE,
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}

AnyRequest = Request[Any, Any, Any]
"""A request of Litestar, whoever the user and whatever the state."""
Serve = Callable[[Any, Any], Awaitable[None]]
"""Writes a response behind its head, given ASGI's `receive` and `send`."""
OnEnd = Callable[[], Coroutine[Any, Any, None]]
"""Awaited when a response has ended, however it ended."""


@dataclass(frozen=True, slots=True)
class Events:
    """What handlers that read, publish or stream events call."""

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
    """The response that streams the topics of `read_request`, which the caller may read.

    `conn` is the client's own name for its stream: a reconnect under the same name replaces the
    lease of the stream before. `meanwhile()` is entered as long as the stream lasts. Raises
    `OverConnectionLimit`, and `BadRequest` for a `conn` that cannot be one.
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
    """The response that `session(deadline)` writes, under the limits of all streams.

    `session` has to keep the deadline and the end of the caller's token. `principal` is None
    where anybody may read: then the limits of anonymous callers hold. While the process is full
    or about to end, the response only tells the client to come back. Raises as `open_stream`.
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
        if deadline.is_alone:  # a few anonymous callers could else take every instance there is
            lifetime_s = min(deadline.lifetime_s, ANONYMOUS_S)
            deadline = replace(deadline, lifetime_s=lifetime_s)
        return EventStream(session(deadline), on_end=_enter(request, events))
    lease = await _lease(request, events, principal, conn)
    return EventStream(session(deadline), on_end=lambda: events.security.connections.release(lease))


@asynccontextmanager
async def admit_long_poll(
    request: AnyRequest, events: Events, principal: Principal, conn: str | None = None
) -> AsyncIterator[None]:
    """Count a JSON answer that waits for news as one of the caller's streams, meanwhile.

    Ends as soon as the client has left, with a `BadRequest` that nobody reads: else the next
    poll of the same client could be refused because of this one. Raises as `open_stream`.
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
    """Count an anonymous stream; returns what is to be called at its end."""
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
            # The wrappers of the middleware only look at the head: each event would pass them all.
            await self._serve(receive, scope["state"].get("raw_send", send))
        finally:
            await asyncio.shield(self._on_end())


class EventStream(Response[None]):
    """A `text/event-stream` whose bytes `serve(receive, send)` writes, to the last one.

    Litestar's own streaming responses change threads, wake a task for each event and leave the
    generator open when a stalled client goes. This one keeps the framework's guards, dependencies
    and headers. `on_end()` is awaited however it ends, also when it never really began.
    """

    def __init__(self, serve: Serve, *, on_end: OnEnd = _nothing) -> None:
        super().__init__(None, media_type=sse.MEDIA_TYPE)
        self._serve = serve
        self._on_end = on_end

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIResponse:
        """What Litestar calls to send the response."""
        return _TakenOver(self._serve, self._on_end)


def one_message(text: bytes) -> EventStream:
    """A stream that sends `text` and ends."""

    async def serve(_: Any, send: Any) -> None:
        await send(body_message(text, more=False))

    return EventStream(serve)
