"""SIGTERM ends everything in order, and nobody is locked out or loses an event."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter

from tests.e2e.conftest import Start
from tests.support.container import Container
from tests.support.publisher import Publisher
from tests.support.raw_reader import Reader, assert_each_once, reading
from tests.support.sse_parser import SseParser

STREAMS = 50
TOPIC = "public:drain"


async def test_sigterm_ends_each_stream_with_bye_shutdown_and_a_jittered_retry(
    start: Start, elsewhere: Container, publisher: Publisher
) -> None:
    """Fifty streams say goodbye, come back elsewhere over seconds, and have lost nothing."""
    server, token = start(drain_s=5), elsewhere.token()
    readers = [Reader(server.url, token, [TOPIC]) for _ in range(STREAMS)]
    async with reading(readers):
        await publisher.burst([TOPIC], 50)
        server.terminate()
        for reader in readers:
            reader.url = elsewhere.url
            await reader.told_bye()
        await publisher.burst([TOPIC], 50)
        for reader in readers:
            await reader.has(100)

    assert_each_once(readers, publisher.published)
    assert {bye.reason for reader in readers for bye in reader.byes} == {"shutdown"}
    assert all(len(reader.byes) == 1 for reader in readers)
    pauses = [bye.retry_ms or 0 for reader in readers for bye in reader.byes]
    assert len(set(pauses)) > STREAMS // 2
    assert min(pauses) >= 1000
    assert max(pauses) - min(pauses) > 1000


async def test_sigterm_ends_the_process_with_status_0_within_the_drain_time(
    start: Start, elsewhere: Container
) -> None:
    """An orchestrator must not take an orderly end for a crash."""
    server = start(drain_s=5)
    async with Reader(server.url, elsewhere.token(), [TOPIC]):
        began = perf_counter()
        server.terminate()
        status = await asyncio.to_thread(server.wait)

    assert perf_counter() - began < 5
    assert status == 0


async def test_a_request_under_way_at_sigterm_is_finished(
    start: Start, elsewhere: Container
) -> None:
    """Its body comes after the signal, and it is answered all the same."""
    server, token = start(drain_s=5), elsewhere.token()
    body = json.dumps({"type": "tick", "data": 1}).encode()
    async with connection(server) as (source, sink), Reader(server.url, token, [TOPIC]) as reader:
        sink.write(publish_head(token, len(body)))
        assert b" 100 " in await source.readuntil(b"\r\n\r\n")
        server.terminate()
        await reader.told_bye()
        sink.write(body)
        answer = await source.readuntil(b"\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 201 ")
    assert await asyncio.to_thread(server.wait) in {0, -15}


async def test_a_stream_asked_for_during_the_drain_is_told_to_come_back(
    start: Start, elsewhere: Container, publisher: Publisher
) -> None:
    """A 200 with `retry:`, a comment and the end: any error would close an EventSource."""
    server, token = start(drain_s=8), elsewhere.token()
    async with connection(server) as (source, sink), stalled(server, publisher, token) as reader:
        server.terminate()
        await refuses(server)
        sink.write(Reader(server.url, token, [TOPIC]).request())
        head = await source.readuntil(b"\r\n\r\n")
        rest = await source.readuntil(b"0\r\n\r\n")
        reader.read_on()
        await reader.told_bye()

    assert head.startswith(b"HTTP/1.1 200 ")
    told = SseParser()
    assert not told.feed(b"\n".join(rest.split(b"\r\n")))
    assert told.retry_ms is not None
    assert told.comments == 1
    assert reader.byes[0].reason == "shutdown"


def publish_head(token: str, length: int) -> bytes:
    """The head of a publish whose sender waits for the server before it sends the body."""
    lines = [
        f"POST /api/events/{TOPIC} HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {token}",
        "Content-Type: application/json",
        f"Content-Length: {length}",
        "Expect: 100-continue",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


@asynccontextmanager
async def connection(
    server: Container,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to the server on which a request has been answered before."""
    async with asyncio.timeout(20):
        source, sink = await asyncio.open_connection(*server.address)
        sink.write(b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        head = await source.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        await source.readexactly(length)
        try:
            yield source, sink
        finally:
            sink.close()
            await sink.wait_closed()


@asynccontextmanager
async def stalled(server: Container, publisher: Publisher, token: str) -> AsyncIterator[Reader]:
    """A reader that has stopped reading, with more on its way than all buffers hold."""
    fast = Reader(server.url, token, [TOPIC])
    async with fast, Reader(server.url, token, [TOPIC], small_buffer=True) as reader:
        reader.stop_reading()
        await publisher.burst([TOPIC], 30, {"text": "x" * 50_000}, at_once=15)
        await fast.has(30)
        yield reader


async def refuses(server: Container) -> None:
    """Return when the server takes no more connections."""
    async with asyncio.timeout(5):
        while True:
            try:
                _, sink = await asyncio.open_connection(*server.address)
            except (ConnectionRefusedError, ConnectionResetError):  # or was it closed just now
                return
            sink.close()
            await sink.wait_closed()
