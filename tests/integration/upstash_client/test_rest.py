"""The pool of connections, against servers that answer byte by byte as a test says."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest

from api.telemetry.meter import CommandMeter
from api.upstash import BadGateway, UpstashClient
from api.upstash.transport import LostError, NotSentError, RestPool
from tests.support.tcp_server import TcpServer

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Serve = Callable[["Server", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server(TcpServer):
    """Serves each connection by a function, and keeps the requests."""

    def __init__(self, serve: Serve) -> None:
        super().__init__()
        self.requests: list[bytes] = []
        self._serve = serve

    async def request(self, reader: asyncio.StreamReader) -> bytes:
        """The next request's body; an end of the connection raises."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(length)
        self.requests.append(head + body)
        return body

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._serve(self, reader, writer)


@asynccontextmanager
async def pool_of(url: str, size: int = 4) -> AsyncIterator[RestPool]:
    pool = RestPool(url, size=size, connect_timeout_s=1)
    yield pool
    await pool.close()


async def post(pool: RestPool, body: bytes = b"hello") -> tuple[int, bytes]:
    async with asyncio.timeout(5):
        answer = await pool.post("/path", {"X-Name": "value"}, body)
    return answer.status, answer.body


def always(raw: bytes) -> Serve:
    """Answers every request with the same bytes."""

    async def serve(
        one: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while True:
            await one.request(reader)
            writer.write(raw)

    return serve


async def test_a_request_is_what_http_asks_for():
    """One POST with its length, its host and the given headers."""
    async with Server(always(OK)) as server, pool_of(server.url) as pool:
        assert await post(pool, b'["PING"]') == (200, b"ok")

    (request,) = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /path HTTP/1.1"
    assert {b"Content-Length: 8", b"X-Name: value"} <= set(lines)
    assert b"Host: " + server.url.removeprefix("http://").encode() in lines
    assert body == b'["PING"]'


@pytest.mark.parametrize(
    "raw",
    [
        OK,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + OK,
    ],
    ids=["length", "chunked", "interim"],
)
@pytest.mark.parametrize("step", [1, 7, 1000])
async def test_an_answer_is_read_in_any_form_and_any_pieces(raw: bytes, step: int):
    """Twice over the same connection, so that nothing of it was left behind."""

    async def serve(
        one: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while True:
            await one.request(reader)
            for start in range(0, len(raw), step):
                writer.write(raw[start : start + step])
                await writer.drain()
                await asyncio.sleep(0)

    async with Server(serve) as server, pool_of(server.url) as pool:
        assert [await post(pool), await post(pool)] == [(200, b"ok")] * 2

    assert server.accepted == 1


async def test_an_interim_answer_does_not_hand_the_final_one_to_the_next_request():
    """A caller that took another's result would never know."""

    async def hinting(
        one: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while True:
            body = await one.request(reader)
            writer.write(b"HTTP/1.1 103 Early Hints\r\n\r\n")
            await asyncio.sleep(0.02)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    async with Server(hinting) as server, pool_of(server.url, size=1) as pool:
        answers = [await post(pool, b"%d" % number) for number in range(4)]

    assert answers == [(200, b"%d" % number) for number in range(4)]


async def test_header_names_are_in_lower_case():
    """As HTTP does not care, we need not."""
    raw = b"HTTP/1.1 429 Slow\r\nUPSTASH-Sync-Token: t\r\nContent-Length: 0\r\n\r\n"
    async with Server(always(raw)) as server, pool_of(server.url) as pool:
        answer = await pool.post("/", {}, b"")

    assert (answer.status, answer.headers["upstash-sync-token"]) == (429, "t")


async def test_callers_at_the_same_time_get_their_own_answers():
    """No more connections than the pool may have, whoever is first."""

    async def echo(one: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            body = await one.request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    async with Server(echo) as server, pool_of(server.url, size=3) as pool:
        answers = await asyncio.gather(*(post(pool, b"%d" % n) for n in range(50)))

    assert answers == [(200, b"%d" % n) for n in range(50)]
    assert server.accepted == 3


async def test_a_call_that_was_cancelled_leaves_no_answer_to_the_next():
    """Its connection is closed: the late answer would meet the wrong request."""
    waiting = asyncio.Event()

    async def late_then_good(
        one: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while True:
            body = await one.request(reader)
            waiting.set()
            if body == b"first":
                await asyncio.sleep(0.02)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    async with Server(late_then_good) as server, pool_of(server.url, size=1) as pool:
        first = asyncio.create_task(post(pool, b"first"))
        await waiting.wait()
        first.cancel()
        await asyncio.wait([first])

        assert await post(pool, b"second") == (200, b"second")
        assert await post(pool, b"third") == (200, b"third")
    assert server.accepted == 2


async def test_a_connection_that_the_server_gave_up_is_not_used_again():
    """It was idle for too long; the request goes out on a new one."""

    async def once(one: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await one.request(reader)
        writer.write(OK)

    async with Server(once) as server, pool_of(server.url) as pool:
        for _ in range(3):
            assert await post(pool) == (200, b"ok")
            await asyncio.sleep(0.02)  # the end of the connection is on its way

    assert server.accepted == 3


async def test_an_end_that_came_while_the_process_was_frozen_is_seen():
    """The loop has not run since; writing there would lose the request."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(2)

    def serve_two() -> None:
        for _ in range(2):
            connection, _ = listener.accept()
            with connection:
                connection.recv(10_000)
                connection.sendall(OK)

    with listener, ThreadPoolExecutor(1) as thread:
        served = thread.submit(serve_two)
        async with pool_of(f"http://127.0.0.1:{listener.getsockname()[1]}") as pool:
            assert await post(pool) == (200, b"ok")
            time.sleep(0.05)  # as a function between two invocations
            assert await post(pool) == (200, b"ok")
        served.result(5)


async def test_an_answer_that_says_close_is_the_last_on_its_connection():
    """A proxy says so before it restarts."""
    raw = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
    async with Server(always(raw)) as server, pool_of(server.url) as pool:
        assert [await post(pool) for _ in range(2)] == [(200, b"ok")] * 2

    assert server.accepted == 2


async def test_what_comes_without_a_request_is_no_answer():
    """A server that gives up an idle connection may say so with a 408."""

    async def talkative(
        one: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while True:
            await one.request(reader)
            writer.write(OK)
            await asyncio.sleep(0.01)
            writer.write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 4\r\n\r\nlate")

    async with Server(talkative) as server, pool_of(server.url) as pool:
        for _ in range(3):
            assert await post(pool) == (200, b"ok")
            await asyncio.sleep(0.03)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhal",
        b"HTTP/1.1 200 OK\r\n\r\nuntil the end",
        b"220 smtp.example.test ESMTP\r\n",
    ],
)
async def test_half_an_answer_is_lost(raw: bytes):
    """Never taken for a whole one."""

    async def serve(
        one: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await one.request(reader)
        writer.write(raw)

    async with Server(serve) as server, pool_of(server.url) as pool:
        with pytest.raises(LostError):
            await post(pool)


async def test_where_nobody_listens_nothing_was_sent(unused_tcp_port: int):
    """Which makes a repeat harmless."""
    async with pool_of(f"http://127.0.0.1:{unused_tcp_port}") as pool:
        with pytest.raises(NotSentError):
            await post(pool)


async def test_a_name_that_does_not_exist_means_nothing_was_sent():
    """A mistake in the settings, or a resolver that is away."""
    async with pool_of("http://no-such-host.invalid") as pool:
        with pytest.raises(NotSentError):
            await post(pool)


async def test_a_server_without_tls_means_nothing_was_sent():
    """The handshake comes before the request."""
    async with Server(always(OK)) as server:
        pool = RestPool(server.url.replace("http:", "https:"), size=1, connect_timeout_s=1)
        with pytest.raises(NotSentError):
            await post(pool)

    assert server.requests == []


@pytest.mark.parametrize("body", [b'"text"', b"[]", b"1", b"\xff", b"<html>"])
async def test_an_answer_that_is_not_of_the_rest_api_is_a_bad_gateway(body: bytes):
    """JSON or not: what is no result and no error proves nothing."""
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    async with Server(always(raw)) as server:
        client = UpstashClient(server.url, "t", timeout_s=2, meter=CommandMeter())
        with pytest.raises(BadGateway):
            await client.write("INCR", "n")
        await client.close()

    assert len(server.requests) == 1


async def test_a_large_request_and_a_large_answer_pass():
    """Up to what Upstash takes."""
    size = 9_000_000
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size
    async with Server(always(raw)) as server, pool_of(server.url) as pool:
        assert await post(pool, b"y" * size) == (200, b"x" * size)

    assert server.requests[0].endswith(b"y" * size)


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/x", {"Authorization": "Bearer t\n"}),
        ("/x", {"Authorization": "Bearer t\r\nX: y"}),
        ("/x", {"Authorization": "Bearer \u2028"}),
        ("/x", {"X\n": "y"}),
        ("/x y", {}),
        ("/x\r\nX: y", {}),
    ],
)
async def test_what_would_break_the_head_of_a_request_is_not_sent(
    path: str, headers: dict[str, str]
) -> None:
    """A line end in a value would write a header, or a request, of its own."""
    pool = RestPool("http://127.0.0.1:1", size=1, connect_timeout_s=1)

    with pytest.raises(NotSentError, match="not a header"):
        await pool.post(path, headers, b"{}")
