"""A client of one instance in this process: it publishes, polls, and holds streams."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self, cast

import httpx

from tests.support.asgi_reader import AsgiConnection
from tests.support.instances import Instance
from tests.support.sse_parser import Frame, SseParser

CONTROL = frozenset({"connected", "reset", "bye"})


class Stream:
    """A held stream. `frames` has all frames that came; `cursor` is where it would resume."""

    def __init__(self, connection: AsgiConnection, cursor: str = "") -> None:
        self.connection = connection
        self.frames: list[Frame] = []
        self._parser = SseParser(cursor)

    @property
    def cursor(self) -> str:
        return self._parser.last_event_id

    @property
    def retry_ms(self) -> int | None:
        return self._parser.retry_ms

    @property
    def comments(self) -> int:
        return self._parser.comments

    @property
    def events(self) -> list[Any]:
        return [json.loads(frame.data) for frame in self.frames if frame.event not in CONTROL]

    @property
    def bye(self) -> Any:
        """The data of its `bye`; None as long as none came."""
        byes = [json.loads(frame.data) for frame in self.frames if frame.event == "bye"]
        return byes[-1] if byes else None

    async def until(self, condition: Callable[[Stream], bool], timeout_s: float = 5) -> Stream:
        """Read until `condition` holds. Fails when the stream or the time ends before."""
        async with asyncio.timeout(timeout_s):
            while not condition(self):
                assert not self.connection.is_done or self.connection.pending, self.frames
                await self.connection.wait(timeout_s)
                self._read()
        return self

    async def until_events(self, count: int, timeout_s: float = 5) -> list[Any]:
        await self.until(lambda one: len(one.events) >= count, timeout_s)
        return self.events

    async def until_connected(self) -> Stream:
        return await self.until(lambda one: bool(one.frames))

    async def until_end(self, timeout_s: float = 5) -> Stream:
        async with asyncio.timeout(timeout_s):
            while not self.connection.is_done:
                await self.connection.wait(timeout_s)
                self._read()
        self._read()
        await self.close()
        return self

    async def close(self) -> None:
        await self.connection.close()

    def _read(self) -> None:
        self.frames += self._parser.feed(self.connection.take())

    async def __aenter__(self) -> Self:
        await self.until_connected()
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        await self.close()


class Client:
    """One user of an instance, who is an admin unless another token is given."""

    def __init__(self, instance: Instance, token: str | None = None) -> None:
        self._app = cast(Any, instance.app)  # both sides name ASGI's types their own way
        self._headers = {"Authorization": f"Bearer {token or instance.token()}"}
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(self._app),
            base_url="http://localhost",
            headers=self._headers,
            timeout=30,
        )

    def stream(
        self, topics: Sequence[str], cursor: str = "", *, stalls: bool = False, **query: Any
    ) -> Stream:
        """Open a stream of events. It is open when its first frame has come."""
        return self.stream_at("/api/events", cursor, pairs(topics, query), stalls=stalls)

    def stream_at(
        self, path: str, cursor: str = "", query: Any = (), *, stalls: bool = False
    ) -> Stream:
        """Open a feature's own stream. `query` has pairs of names and values."""
        headers = {**self._headers, "Accept": "text/event-stream"}
        if cursor:
            headers["Last-Event-ID"] = cursor
        connection = AsgiConnection(self._app, path, list(query), headers, stalls=stalls)
        return Stream(connection, cursor)

    async def poll(
        self, topics: Sequence[str], cursor: str = "", *, etag: str = "", **query: Any
    ) -> httpx.Response:
        headers = {"Accept": "application/json"}
        if cursor:
            headers["Last-Event-ID"] = cursor
        if etag:
            headers["If-None-Match"] = etag
        return await self.http.get("/api/events", params=pairs(topics, query), headers=headers)

    async def publish(
        self, topic: str, data: Any = None, *, kind: str = "tick", key: str = ""
    ) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        body = {"type": kind, "data": data}
        return await self.http.post(f"/api/events/{topic}", json=body, headers=headers)


def pairs(topics: Sequence[str], query: dict[str, Any]) -> Any:
    return [("topic", topic) for topic in topics] + [(k, str(v)) for k, v in query.items()]
