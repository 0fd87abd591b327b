"""Clients that others wrote, unmodified, through the death and return of their server."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx
import httpx_sse
import pytest

from tests.support.container import Container
from tests.support.local_server import ROOT
from tests.support.outage import through_an_outage
from tests.support.programs import running_node
from tests.support.publisher import Publisher

NODE = ROOT / "tests" / "e2e" / "node"
TIMEOUT_S = 20


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.skipif(
    not (NODE / "node_modules").is_dir(), reason="run: npm ci --prefix tests/e2e/node"
)
async def test_eventsource_in_node_has_every_event_once_through_a_kill_and_restart(
    server: Container, publisher: Publisher
) -> None:
    """It reconnects by itself, with the last id and our `retry:`."""
    topic = "public:node"
    url = f"{server.url}/api/events?topic={topic}"
    async with node("eventsource.mjs", URL_=url, TOKEN=server.token()) as client:
        assert await client.line() == "connected"
        ids = await through_an_outage(server, publisher, topic, client.has)

    assert client.ids == ids


async def test_httpx_sse_has_every_event_once_through_a_kill_and_restart(
    server: Container, publisher: Publisher
) -> None:
    """It knows the last id and `retry:`; the loop around it is by hand."""
    topic = "public:httpx"
    client = HttpxClient(f"{server.url}/api/events?topic={topic}", server.token())
    async with asyncio.TaskGroup() as tasks:
        following = tasks.create_task(client.follow())
        await client.until(lambda: client.connected == 1)
        ids = await through_an_outage(server, publisher, topic, client.has)
        following.cancel()

    assert client.ids == ids
    assert client.connected == 2


class NodeClient:
    """A script that prints an id, or a word about its connection, a line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.ids: list[str] = []
        self.process = process

    async def line(self) -> str:
        assert self.process.stdout is not None
        async with asyncio.timeout(TIMEOUT_S):
            line = await self.process.stdout.readline()
        assert line, "the script ended"
        text: str = json.loads(line)
        return text

    async def has(self, count: int) -> None:
        while len(self.ids) < count:
            line = await self.line()
            if line != "connected":
                self.ids.append(line)


@asynccontextmanager
async def node(script: str, **environment: str) -> AsyncIterator[NodeClient]:
    async with running_node(script, **environment) as process:
        yield NodeClient(process)


class HttpxClient:
    """What the documentation of httpx-sse says about reconnecting."""

    def __init__(self, url: str, token: str) -> None:
        self.ids: list[str] = []
        self.connected = 0
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"}
        self._retry_s = 3.0
        self._changed = asyncio.Event()

    async def follow(self) -> None:
        async with httpx.AsyncClient(headers=self._headers, verify=False) as http:
            while True:
                with suppress(httpx.TransportError):
                    await self._read(http)
                await asyncio.sleep(self._retry_s)

    async def until(self, condition) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def has(self, count: int) -> None:
        await self.until(lambda: len(self.ids) >= count)

    async def _read(self, http: httpx.AsyncClient) -> None:
        async with httpx_sse.aconnect_sse(http, "GET", self._url) as source:
            async for event in source.aiter_sse():
                self._take(event, http)

    def _take(self, event: httpx_sse.ServerSentEvent, http: httpx.AsyncClient) -> None:
        http.headers["Last-Event-ID"] = event.id
        if event.retry is not None:
            self._retry_s = event.retry / 1000
        if event.event == "tick":
            self.ids.append(event.json()["id"])
        self.connected += event.event == "connected"
        self._changed.set()
