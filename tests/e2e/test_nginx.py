"""Streams through nginx, with the configuration that we ship."""

from __future__ import annotations

import asyncio
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
