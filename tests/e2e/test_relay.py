"""A relay of real processes: whichever of them dies, readers see each event once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.conftest import Start
from tests.support.container import Container
from tests.support.sse_parser import SseParser
from tests.support.sse_upstream import UpstreamProcess

LAST = 12


@pytest.fixture
def upstream() -> Iterator[UpstreamProcess]:
    process = UpstreamProcess().start()
    yield process
    process.kill()


class Reader:
    """Reads `/api/relay/prices` at a container, and comes back with its last id."""

    def __init__(self, server: Container, token: str) -> None:
        self.server = server
        self.seen: list[int] = []
        self._headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
        self._last_id = ""
        self._changed = asyncio.Event()

    async def read(self) -> None:
        while True:
            try:
                await self._once()
            except httpx.HTTPError:
                await asyncio.sleep(0.2)

    async def has(self, number: int) -> None:
        while number not in self.seen:
            self._changed.clear()
            await self._changed.wait()

    async def _once(self) -> None:
        parser = SseParser(self._last_id)
        headers = self._headers | ({"Last-Event-ID": self._last_id} if self._last_id else {})
        url = f"{self.server.url}/api/relay/prices?history=100"
        async with (
            httpx.AsyncClient(verify=False, timeout=60) as client,
            client.stream("GET", url, headers=headers) as answer,
        ):
            async for chunk in answer.aiter_bytes():
                for frame in parser.feed(chunk):
                    if frame.event == "price":
                        self.seen.append(int(json.loads(frame.data)["data"]))
                self._last_id = parser.last_event_id
                self._changed.set()


async def test_each_event_comes_once_whoever_dies(start: Start, upstream: UpstreamProcess):
    """First the upstream in the middle of an event, then each instance in turn, by SIGKILL."""
    sources = json.dumps({"prices": {"url": upstream.url, "private": True}})
    settings = {"relay_sources": sources, "relay_lease_s": 2, "retry_ms": 1000}
    servers = [start(**settings), start(**settings)]
    token = servers[0].token()
    readers = [Reader(server, token) for server in servers]
    async with asyncio.timeout(60):
        tasks = [asyncio.create_task(reader.read()) for reader in readers]
        await upstream.order(count=3, mode={"kind": "events", "half": True})
        for reader in readers:
            await reader.has(3)
        upstream.kill()
        upstream.start()
        await upstream.order(count=6)
        for reader in readers:
            await reader.has(6)
        for number, server in enumerate(servers, start=1):
            server.kill()
            await upstream.order(count=6 + 3 * number)
            for reader in readers:
                reader.server = servers[number % 2]
                await reader.has(6 + 3 * number)
            if number < len(servers):
                server.start()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)

    for reader in readers:
        assert reader.seen == list(range(1, LAST + 1))
