"""How every stream begins, whoever writes to it: a refusal, or a deadline and a lease.

Features that hold streams of their own open them here, so that all streams of a process are
counted, limited, refused and ended alike.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from litestar import Request

from api.events import sse
from api.events.deadline import Deadline, Deadlines
from api.events.held import StreamDesk
from api.events.publisher import Publisher
from api.events.session import Reading, StreamSession
from api.events.stream import EventStream, Serve, brief
from api.problems import OverConnectionLimit
from api.security.addresses import client_ip
from api.security.leases import Lease
from api.security.principal import Principal
from api.security.wiring import Security
from api.settings import Settings

AnyRequest = Request[Any, Any, Any]


@dataclass(frozen=True, slots=True)
class EventServices:
    """What handlers that read, publish or stream events call."""

    desk: StreamDesk
    publisher: Publisher
    security: Security
    deadlines: Deadlines
    settings: Settings


async def open_stream(
    request: AnyRequest,
    events: EventServices,
    reading: Reading,
    *,
    principal: Principal,
    conn: str | None,
) -> EventStream:
    """The answer that streams the topics of `reading`, which the caller may read.

    Raises `OverConnectionLimit`, and `BadRequest` for a `conn` that is none.
    """

    def session(deadline: Deadline) -> Serve:
        expires_at = principal.expires_at
        return StreamSession(events.desk, reading, deadline=deadline, expires_at=expires_at).run

    return await hold_stream(request, events, session, principal=principal, conn=conn)


async def hold_stream(
    request: AnyRequest,
    events: EventServices,
    session: Callable[[Deadline], Serve],
    *,
    principal: Principal | None,
    conn: str | None,
) -> EventStream:
    """The answer that `session(deadline)` writes, under the limits of all streams.

    `session` has to keep the deadline and the end of the caller's token. Without a principal,
    where anybody may read, the limit is that of the address. Raises as `open_stream`.
    """
    desk = events.desk
    if reason := desk.streams.refusal:
        desk.metrics.refused.labels(reason).inc()
        return brief(sse.come_back(desk.pause_ms(), reason))
    deadline = events.deadlines(request.scope)
    # A buffered answer holds nothing for long.
    lease = None if deadline.one_batch else await _lease(request, events, principal, conn)

    async def on_end() -> None:
        if lease is not None:
            await events.security.connections.release(lease)

    return EventStream(session(deadline), on_end=on_end)


async def _lease(
    request: AnyRequest, events: EventServices, principal: Principal | None, conn: str | None
) -> Lease:
    peer = request.client.host if request.client else None
    forwarded = request.headers.get("x-forwarded-for")
    address = client_ip(peer, forwarded, events.settings.trusted_proxies)
    user = principal.id if principal else None
    try:
        return await events.security.connections.acquire(user, address, conn or uuid4().hex)
    except OverConnectionLimit:
        events.desk.metrics.refused.labels("over-limit").inc()
        raise
