"""A client on a raw socket that resumes after its last event id, as an EventSource does."""

from __future__ import annotations

import asyncio
import json
import socket
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import urlencode, urlsplit

import httptools

from tests.support.sse_parser import Frame, SseParser

OK = 200
SMALL_BUFFER_BYTES = 8192
CONNECTS_AT_ONCE = 100


@dataclass(frozen=True)
class Bye:
    """How a stream ended. `retry_ms` is from the `retry:` line before it."""

    reason: str
    retry_ms: int | None


class Reader:
    """One reader of `topics` at `url`, which may change between connections.

    It reconnects after `retry:` when a stream ends or breaks, and stays closed after any
    status but 200. `seen` has the event ids by topic, `arrived` when each came by
    `perf_counter`. Everything else counts over all connections; `status` is the last one's.
    """

    def __init__(
        self,
        url: str,
        token: str,
        topics: Sequence[str],
        *,
        query: Mapping[str, str] | None = None,
        small_buffer: bool = False,
    ) -> None:
        self.url = url
        self.topics = tuple(topics)
        self.seen: dict[str, list[str]] = defaultdict(list)
        self.arrived: dict[tuple[str, str], float] = {}
        self.count = 0
        self.byes: list[Bye] = []
        self.resets: list[Any] = []
        self.tries = self.opened = self.connected = self.ended = self.comments = 0
        self.status = 0
        self.problem = b""
        self.retry_ms = 3000
        self.last_event_id = ""
        self._token = token
        self._query = [("topic", topic) for topic in topics] + list((query or {}).items())
        self._small_buffer = small_buffer
        self._changed = asyncio.Event()
        self._connection: _Connection | None = None
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        names = ("count", "status", "tries", "opened", "connected", "ended", "comments")
        state = {name: getattr(self, name) for name in names}
        return f"<Reader of {len(self.topics)} topics: {state}, {self.byes}, {self.resets}>"

    async def __aenter__(self) -> Self:
        self.start()
        await self.joined()
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        await self.close()

    def start(self) -> None:
        """Connect, and reconnect until `close`."""
        self._task = asyncio.get_running_loop().create_task(self._follow())

    async def until(self, condition: Callable[[], bool], timeout_s: float = 15.0) -> None:
        """Return when `condition` holds. It is checked whenever something has come."""
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    if self._task is not None and self._task.done():
                        self._task.result()
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"not in {timeout_s} s: {self!r}") from None

    async def joined(self) -> None:
        """Return when the first `connected` is there."""
        await self.until(lambda: self.connected > 0)

    async def has(self, count: int, timeout_s: float = 15.0) -> None:
        """Return when `count` events are there."""
        await self.until(lambda: self.count >= count, timeout_s)

    async def told_bye(self) -> None:
        """Return when the server has said why it ended a stream."""
        await self.until(lambda: bool(self.byes))

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            if not self._task.cancelled():
                self._task.result()

    def stop_reading(self) -> None:
        """Read nothing from the socket until `read_on`."""
        assert self._connection is not None
        self._connection.transport.pause_reading()

    def read_on(self) -> None:
        assert self._connection is not None
        self._connection.transport.resume_reading()

    def take(self, frame: Frame, retry_ms: int | None) -> None:
        data = json.loads(frame.data)
        match data["type"] if frame.event == "message" else frame.event:
            case "connected":
                self.connected += 1
            case "reset":
                self.resets.append(data)
            case "bye":
                assert data["retry_ms"] == retry_ms
                self.byes.append(Bye(data["reason"], retry_ms))
            case _:
                self.count += 1
                self.seen[data["topic"]].append(data["id"])
                self.arrived[data["topic"], data["id"]] = perf_counter()

    def changed(self) -> None:
        self._changed.set()

    def request(self) -> bytes:
        lines = [
            f"GET /api/events?{urlencode(self._query)} HTTP/1.1",
            f"Host: {urlsplit(self.url).netloc}",
            f"Authorization: Bearer {self._token}",
            "Accept: text/event-stream",
        ]
        if self.last_event_id:
            lines.append(f"Last-Event-ID: {self.last_event_id}")
        return "\r\n".join([*lines, "", ""]).encode()

    async def _follow(self) -> None:
        while True:
            self.tries += 1
            try:
                await self._once()
            except OSError:
                self.status = 0
            if self.status not in {0, OK}:
                return
            await asyncio.sleep(self.retry_ms / 1000)

    async def _once(self) -> None:
        parts = urlsplit(self.url)
        loop = asyncio.get_running_loop()
        with socket.socket() as sock:
            sock.setblocking(False)
            if self._small_buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER_BYTES)
            await loop.sock_connect(sock, (parts.hostname, parts.port))
            _, connection = await loop.create_connection(lambda: _Connection(self), sock=sock)
            self._connection = connection
            try:
                await connection.closed
            finally:
                connection.transport.abort()
                self.ended += 1
                self.changed()


class _Connection(asyncio.Protocol):
    """One response. httptools takes the body out of it for the parser of events."""

    transport: asyncio.Transport

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._sse = SseParser(reader.last_event_id)
        self._http = httptools.HttpResponseParser(self)
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self.transport.write(self._reader.request())

    def data_received(self, data: bytes) -> None:
        try:
            self._http.feed_data(data)
        except Exception as error:  # noqa: BLE001  # the test that waits must see it
            self._end(error)
        self._reader.changed()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(None)

    def on_headers_complete(self) -> None:
        self._reader.status = self._http.get_status_code()
        self._reader.opened += self._reader.status == OK

    def on_body(self, body: bytes) -> None:
        reader = self._reader
        if reader.status != OK:
            reader.problem += body
            return
        before = self._sse.comments
        for frame in self._sse.feed(body):
            reader.take(frame, self._sse.retry_ms)
        reader.comments += self._sse.comments - before
        reader.last_event_id = self._sse.last_event_id
        reader.retry_ms = self._sse.retry_ms or reader.retry_ms

    def on_message_complete(self) -> None:
        self._end(None)

    def _end(self, error: Exception | None) -> None:
        if self.closed.done():
            return
        if error is None:
            self.closed.set_result(None)
        else:
            # The parser wraps what a callback raised.
            self.closed.set_exception(error.__context__ or error)


@asynccontextmanager
async def reading(readers: Sequence[Reader]) -> AsyncIterator[None]:
    """Connect all readers, and close them at the end of the block."""
    try:
        for some in (
            readers[at : at + CONNECTS_AT_ONCE] for at in range(0, len(readers), CONNECTS_AT_ONCE)
        ):
            for reader in some:
                reader.start()
            for reader in some:
                await reader.joined()
        yield
    finally:
        for reader in readers:
            await reader.close()


def difference(reader: Reader, published: Mapping[str, Sequence[str]]) -> str:
    """How what `reader` saw differs from what was published; empty if it does not."""
    wrong = []
    for topic in reader.topics:
        seen, wanted = reader.seen[topic], list(published[topic])
        if seen == wanted:
            continue
        counts = Counter(seen)
        lost = [one for one in wanted if one not in counts]
        twice = [one for one, times in counts.items() if times > 1]
        foreign = len(counts.keys() - set(wanted))
        wrong.append(
            f"{topic}: {len(lost)} lost {lost[:3]}, {len(twice)} twice {twice[:3]}, "
            f"{foreign} never published, or out of order"
        )
    if reader.resets:
        wrong.append(f"resets {reader.resets}")
    return "; ".join(wrong)


def assert_each_once(readers: Sequence[Reader], published: Mapping[str, Sequence[str]]) -> None:
    """Check that each reader saw all events of its topics once, in order, without a reset."""
    wrong = {number: difference(reader, published) for number, reader in enumerate(readers)}
    assert not any(wrong.values()), {number: text for number, text in wrong.items() if text}
