"""Streams through nginx, with the configuration that we ship."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

import httpx
import pytest

from tests.e2e.conftest import Start
from tests.support.container import Container
from tests.support.nginx import PROGRAM, Nginx
from tests.support.publisher import Publisher
from tests.support.raw_reader import Reader, assert_each_once, reading

TOPIC = "public:nginx"
STREAMS = 20

pytestmark = pytest.mark.skipif(not shutil.which(PROGRAM), reason="nginx is not installed")


async def came_back(reader: Reader) -> None:
    await reader.until(lambda: reader.tries >= 2)


@contextmanager
def fronted(container: Container, folder: Path) -> Iterator[Nginx]:
    host, port = container.address
    with Nginx(folder, f"{host}:{port}") as nginx:
        yield nginx


async def test_the_first_event_passes_nginx_within_100_ms_and_so_does_each_after_it(
    start: Start, elsewhere: Container, publisher: Publisher, tmp_path: Path
) -> None:
    """A proxy that buffers would hold small events back until there are enough of them."""
    server = start(poll_min_ms=10, poll_idle_ms=20)
    with fronted(server, tmp_path) as nginx:
        async with Reader(nginx.url, elsewhere.token(), [TOPIC]) as reader:
            delays = []
            for count in range(1, 11):
                began = perf_counter()
                event_id = await publisher.publish(TOPIC, count)
                await reader.has(count)
                delays.append(reader.arrived[TOPIC, event_id] - began)

    assert_each_once([reader], publisher.published)
    assert sorted(delays)[len(delays) // 2] < 0.1, delays


async def test_the_head_of_a_stream_passes_before_there_is_any_event(
    start: Start, elsewhere: Container, tmp_path: Path
) -> None:
    """EventSource says `open` only when it has the head."""
    with fronted(start(), tmp_path) as nginx:
        began = perf_counter()
        async with Reader(nginx.url, elsewhere.token(), [TOPIC]) as reader:
            took_s = perf_counter() - began

    assert reader.connected == 1
    assert took_s < 1


async def test_keep_alives_pass(start: Start, elsewhere: Container, tmp_path: Path) -> None:
    """They hold the connection open through everything on the way, so nobody may keep them."""
    with fronted(start(keep_alive_s=1), tmp_path) as nginx:
        async with Reader(nginx.url, elsewhere.token(), [TOPIC]) as reader:
            await reader.until(lambda: reader.comments >= 3)

    assert reader.tries == 1


async def test_a_drain_behind_nginx_loses_nothing_and_locks_nobody_out(
    start: Start, elsewhere: Container, publisher: Publisher, tmp_path: Path
) -> None:
    """While no container listens a stream is told to come back: a 502 would end it for good."""
    server = start(drain_s=5, retry_ms=1000)
    with fronted(server, tmp_path) as nginx:
        readers = [Reader(nginx.url, elsewhere.token(), [TOPIC]) for _ in range(STREAMS)]
        async with reading(readers):
            await publisher.burst([TOPIC], 20)
            server.terminate()
            for reader in readers:
                await reader.told_bye()
            assert await asyncio.to_thread(server.wait) == 0
            await publisher.burst([TOPIC], 20)
            for reader in readers:
                await came_back(reader)
            await asyncio.to_thread(server.start)
            for reader in readers:
                await reader.has(40, timeout_s=20)

    assert_each_once(readers, publisher.published)
    assert {reader.status for reader in readers} == {200}


async def test_other_requests_get_a_problem_document_while_no_container_listens(
    start: Start, tmp_path: Path
) -> None:
    """A page of nginx's own is nothing that a program can read."""
    server = start()
    with fronted(server, tmp_path) as nginx:
        server.kill()
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"{nginx.url}/api/health")

    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["retry-after"] == "3"
    assert answer.json()["code"] == "not-ready"


async def test_nginx_logs_no_query_since_it_may_hold_a_ticket(
    start: Start, elsewhere: Container, tmp_path: Path
) -> None:
    """A ticket is good for one stream and a minute, and still nothing for a log."""
    with fronted(start(), tmp_path) as nginx:
        async with httpx.AsyncClient() as client:
            await client.get(f"{nginx.url}/api/events?topic=public:a&ticket=secret-ticket")
        async with asyncio.timeout(10):
            while "/api/events" not in nginx.log:
                await asyncio.sleep(0.01)

    assert "secret-ticket" not in nginx.log


async def test_what_the_docs_allow_passes_nginx(
    start: Start, elsewhere: Container, tmp_path: Path
) -> None:
    """A token of 8,192 characters, 50 of the longest topics, a body of a mebibyte."""
    topics = [":".join(["x" * 64] * 7 + [f"{number:064}"]) for number in range(50)]
    server = start()
    with fronted(server, tmp_path) as nginx:
        async with httpx.AsyncClient(base_url=nginx.url, verify=False) as client:
            token = {"Authorization": f"Bearer {elsewhere.token()}", "Accept": "application/json"}
            read = await client.get("/api/events", params={"topic": topics}, headers=token)
            long = await client.get("/api/events?topic=a", headers=_bearer("x" * 8192))
            json_body = {**token, "Content-Type": "application/json"}
            event = b'{"type":"tick","data":1}'.ljust(1_048_576)
            body = await client.post("/api/events/a", content=event, headers=json_body)

    assert read.status_code == 200
    assert long.json()["code"] == "unauthorized"
    assert body.status_code == 201


@pytest.mark.parametrize(
    ("refused", "status", "code"),
    [
        ("GET /?{long} HTTP/1.1\r\nHost: a", 414, "url-too-long"),
        ("GET / HTTP/1.1\r\nHost: a\r\nCookie: {long}", 431, "head-too-large"),
        ("GET / HTTP/1.1", 400, "bad-request"),
        ("GARBAGE", 400, "bad-request"),
        ("TRACE / HTTP/1.1\r\nHost: a", 405, "method-not-allowed"),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999", 413, "payload-too-large"),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip", 501, "bad-request"),
        ("GET / HTTP/3.0\r\nHost: a", 505, "bad-request"),
        ("GET /millrace_refused HTTP/1.1\r\nHost: a", 404, "not-found"),
    ],
)
async def test_what_nginx_itself_refuses_is_a_problem_document(
    tmp_path: Path, refused: str, status: int, code: str
) -> None:
    """Whatever the status: no program can read a page of nginx's own."""
    request = refused.format(long="x" * 90_000) + "\r\nConnection: close\r\n\r\n"
    with Nginx(tmp_path, "127.0.0.1:9") as nginx:
        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_connection("127.0.0.1", nginx.port)
            writer.write(request.encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = int(head.partition("Content-Length: ")[2].partition("\r\n")[0])
            problem = json.loads(await reader.readexactly(length))
            writer.close()

    assert "Content-Type: application/problem+json" in head
    assert head.split()[1] == str(status)
    assert (problem["status"], problem["code"]) == (status, code)


async def test_a_page_signs_in_and_writes_by_cookie_on_a_port_that_is_not_the_default(
    start: Start, tmp_path: Path
) -> None:
    """The page's Origin has the port, so the Host that the application sees must have it too."""
    with fronted(start(), tmp_path) as nginx:
        async with httpx.AsyncClient(base_url=nginx.url, headers={"Origin": nginx.url}) as page:
            signed_in = await page.post("/api/dev/session", json={"user": "a", "roles": ["admin"]})
            written = await page.post("/api/events/a", json={"type": "tick", "data": 1})

    assert (signed_in.status_code, written.status_code) == (201, 201)


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
