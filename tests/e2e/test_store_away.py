"""Upstash can be away in every way there is, and no stream notices more than silence."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from time import perf_counter
from typing import Any

import httpx
import pytest

from tests.support.container import Container
from tests.support.publisher import Publisher
from tests.support.raw_reader import Reader, assert_each_once, reading
from tests.support.upstash_server import UpstashServer

AWAY: dict[str, dict[str, Any]] = {
    "refuse": {"refuse": True},
    "silent": {"silent": -1},
    "bad_gateway": {"bad_gateway": -1},
    "throttle": {"throttle_ms": 10_000},
}
LIMITS = {"max_streams_per_user": 1000, "max_streams_per_ip": 1000}


@pytest.fixture(scope="module")
def store() -> Iterator[UpstashServer]:
    """Its own, and killed: what the faults hold back would delay an orderly end."""
    server = UpstashServer().start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def server(store: UpstashServer) -> Iterator[Container]:
    """Production-like: each stream asks the store for its lease first."""
    container = Container(store, keep_alive_s=1, retry_ms=1000, **LIMITS).start()
    yield container
    container.kill()
    assert "Traceback" not in container.complaints, container.complaints


@pytest.fixture(autouse=True)
def _back(store: UpstashServer) -> Iterator[None]:
    yield
    store.clear_faults()


@pytest.mark.parametrize("fault", AWAY)
async def test_streams_open_and_stay_up_while_the_store_is_away_and_then_go_on(
    server: Container, store: UpstashServer, fault: str
) -> None:
    """A new one has its first bytes, both are kept alive, and neither loses an event."""
    token, topic, unknown = server.token(), f"public:held:{fault}", f"public:new:{fault}"
    held, new = Reader(server.url, token, [topic]), Reader(server.url, token, [topic, unknown])
    async with Publisher(server) as publisher, reading([held]):
        await publisher.burst([topic], 10)
        await held.has(10)
        store.faults(**AWAY[fault])
        opened_s = await opened(new)
        kept = held.comments
        await new.until(lambda: new.comments >= 3 and held.comments >= kept + 2)
        store.clear_faults()
        await new.until(lambda: new.connected == 1)
        await publisher.burst([topic, unknown], 20)
        await held.has(20)
        await new.has(20)
        await new.close()

    print(f"{fault}: first bytes after {opened_s * 1000:.0f} ms")
    assert_each_once([held], publisher.published)
    assert new.seen[unknown] == publisher.published[unknown]
    assert new.seen[topic] == publisher.published[topic][-10:]
    assert (held.tries, new.tries) == (1, 1)


@pytest.mark.parametrize("fault", AWAY)
async def test_a_publish_is_answered_in_time_while_the_store_is_away(
    server: Container, store: UpstashServer, fault: str
) -> None:
    """503 as problem+json with Retry-After, within six seconds; others are not held up by it."""
    async with Publisher(server) as client:
        store.faults(**AWAY[fault])
        began = perf_counter()
        body = {"type": "tick", "data": 1}
        post = asyncio.create_task(client.http.post("/api/events/public:unheard", json=body))
        live = await client.http.get("/api/health/live")
        answer = await post
        took_s = perf_counter() - began

    print(f"{fault}: 503 after {took_s * 1000:.0f} ms")
    assert live.status_code == httpx.codes.OK
    assert answer.status_code == httpx.codes.SERVICE_UNAVAILABLE
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) >= 1
    assert took_s < 6


async def opened(reader: Reader) -> float:
    """The seconds until the reader's first bytes; a lease is waited for, but not for long."""
    began = perf_counter()
    reader.start()
    await reader.until(lambda: reader.comments == 1, 4)
    return perf_counter() - began
