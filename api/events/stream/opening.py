"""How every stream begins, whoever writes to it: a refusal, or a deadline and a lease.

Features that hold streams of their own open them here, so that all streams of a process are
counted, limited, refused and ended alike.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from litestar import Request

from api.events.delivery import sse
from api.events.publisher import Publisher
from api.events.read_request import ReadRequest
from api.events.stream.deadline import Deadline, Deadlines
from api.events.stream.response import EventStream, OnEnd, Serve, brief
from api.events.stream.session import Streaming, until_gone
from api.events.stream.topic_session import TopicSession
from api.problems import BadRequest, OverConnectionLimit
from api.security.addresses import client_ip
from api.security.leases import Lease
from api.security.principal import Principal
from api.security.wiring import Security
from api.settings import Settings

ANONYMOUS_S = 10.0

AnyRequest = Request[Any, Any, Any]


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
) -> EventStream:
    """The answer that streams the topics of `read_request`, which the caller may read.

    `meanwhile()` is entered as long as the stream lasts. Raises `OverConnectionLimit`, and
    `BadRequest` for a `conn` that is none.
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
) -> EventStream:
    """The answer that `session(deadline)` writes, under the limits of all streams.

    `session` has to keep the deadline and the end of the caller's token. Without a principal,
    where anybody may read, the limits are those of who has not signed in. Raises as `open_stream`.
    """
    streaming, crowd = events.streaming, events.security.crowd
    reason = streaming.open_streams.refusal
    if reason is None and principal is None and crowd.is_full:
        reason = "overloaded"
    if reason:
        streaming.metrics.refused.labels(reason).inc()
        return brief(sse.come_back(streaming.pause_ms(), reason))
    deadline = events.deadlines(request.scope)
    if deadline.one_batch:  # a buffered answer holds nothing for long
        return EventStream(session(deadline))
    if principal is None:
        if deadline.is_alone:  # a few callers without a name could take every instance there is
            lifetime_s = min(deadline.lifetime_s, ANONYMOUS_S)
            deadline = replace(deadline, lifetime_s=lifetime_s)
        return EventStream(session(deadline), on_end=_enter(request, events))
    lease = await _lease(request, events, principal, conn)
    return EventStream(session(deadline), on_end=lambda: events.security.connections.release(lease))


@asynccontextmanager
async def admit_long_poll(
    request: AnyRequest, events: Events, principal: Principal, conn: str | None = None
) -> AsyncIterator[None]:
    """Count a JSON answer that is held for news as one of the caller's streams, meanwhile.

    Whoever leaves is not waited for, or his next poll could be refused because of this one.
    Raises as `open_stream`, and `BadRequest`, which nobody reads, when the client has left.
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
    """Count a stream of who has not signed in; gives what is to be called at its end."""
    crowd, address = events.security.crowd, _address(request, events)
    try:
        crowd.enter(address)
    except OverConnectionLimit:
        events.streaming.metrics.refused.labels("over-limit").inc()
        raise

    async def leave() -> None:
        crowd.leave(address)

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
