"""An upstream process, and instances of the application that relay it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.support.asgi_reader import AsgiConnection
from tests.support.client import Stream
from tests.support.instances import Instance, running, settings_for
from tests.support.sse_upstream import UpstreamProcess
from tests.support.upstash_server import UpstashServer

SECRET_HEADER = "Bearer upstream-secret-0451"
SECRET_QUERY = "key=query-secret-0451"
SECRETS = (SECRET_HEADER, "query-secret-0451")

Start = Callable[..., Awaitable[Instance]]


@pytest.fixture(scope="session")
def upstream_process() -> Iterator[UpstreamProcess]:
    process = UpstreamProcess().start()
    yield process
    process.kill()


@pytest.fixture
async def upstream(upstream_process: UpstreamProcess) -> UpstreamProcess:
    """Alive, with no events yet."""
    upstream_process.kill()
    return upstream_process.start()


def source(upstream: UpstreamProcess, **changes: Any) -> dict[str, Any]:
    return {
        "url": f"{upstream.url}?{SECRET_QUERY}",
        "headers": {"Authorization": SECRET_HEADER},
        "private": True,
        **changes,
    }


@pytest.fixture
async def start(upstash: UpstashServer, upstream: UpstreamProcess) -> AsyncIterator[Start]:
    """Starts instances with a source `prices`; options are the source's, but for `sources`."""
    async with AsyncExitStack() as stack:

        async def start(sources: dict[str, Any] | None = None, **changes: Any) -> Instance:
            sources = sources or {"prices": source(upstream, **changes)}
            settings = settings_for(upstash, relay_sources=sources, relay_lease_s=3)
            return await stack.enter_async_context(running(settings))

        yield start


def watch(instance: Instance, name: str = "prices", cursor: str = "", **query: Any) -> Stream:
    """A reader of a source, who has a grant for it."""
    headers = {"Authorization": f"Bearer {instance.token()}", "Accept": "text/event-stream"}
    if cursor:
        headers["Last-Event-ID"] = cursor
    pairs = [(key, str(value)) for key, value in query.items()]
    app: Any = instance.app
    return Stream(AsgiConnection(app, f"/api/relay/{name}", pairs, headers), cursor)


def prices(stream: Stream) -> list[int]:
    """What the upstream sent, as this reader saw it."""
    return [int(event["data"]) for event in stream.events if event["type"] == "price"]


def faults(stream: Stream) -> list[str]:
    return [event["data"]["code"] for event in stream.events if event["type"] == "relay.error"]


def greetings(stream: Stream) -> list[bool]:
    """For each `relay.init` whether the upstream was asked to go on after an id."""
    return [e["data"]["resumes"] for e in stream.events if e["type"] == "relay.init"]


async def has(stream: Stream, count: int, timeout_s: float = 20) -> Stream:
    return await stream.until(lambda one: len(prices(one)) >= count, timeout_s)


async def told(stream: Stream, code: str, timeout_s: float = 20) -> Stream:
    return await stream.until(lambda one: code in faults(one), timeout_s)
