"""A server that dies and comes back while another process publishes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tests.support.container import Container
from tests.support.publisher import Publisher

EVENTS = 20


async def through_an_outage(
    server: Container,
    publisher: Publisher,
    topic: str,
    has: Callable[[int], Awaitable[None]],
) -> list[str]:
    """Publish before, during and after the absence of `server`. Returns all ids.

    `has(n)` returns when the client has n events. The server is killed, and started again
    on the same port.
    """
    await publisher.burst([topic], EVENTS)
    await has(EVENTS)
    server.kill()
    await publisher.burst([topic], EVENTS)
    await asyncio.to_thread(server.start)
    await publisher.burst([topic], EVENTS)
    await has(3 * EVENTS)
    return publisher.published[topic]
