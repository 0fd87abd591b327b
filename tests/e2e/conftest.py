"""Server processes: one that only publishes for the whole session, and those of single tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from playwright.async_api import Page

from tests.support.browser import chromium_page
from tests.support.container import Container
from tests.support.publisher import Publisher
from tests.support.upstash_server import UpstashServer

Start = Callable[..., Container]


@pytest.fixture(scope="session")
def elsewhere(upstash_server: UpstashServer) -> Iterator[Container]:
    """Another process of the same deployment, which runs while others are killed."""
    container = Container(upstash_server, topic_max_events=100_000, job_workers=0).start()
    yield container
    container.stop()
    assert "Traceback" not in container.complaints


@pytest.fixture
async def publisher(upstash: UpstashServer, elsewhere: Container) -> AsyncIterator[Publisher]:
    """A publisher by the other process, into an empty database."""
    async with Publisher(elsewhere) as publisher:
        yield publisher


@pytest.fixture(scope="module")
def server(upstash_server: UpstashServer) -> Iterator[Container]:
    """A server for tests that leave it running, or start it again."""
    container = Container(
        upstash_server, topic_max_events=100_000, retry_ms=1000, job_workers=0
    ).start()
    yield container
    container.kill()
    assert "Traceback" not in container.complaints, container.complaints


@pytest.fixture(scope="module")
def job_host(upstash_server: UpstashServer) -> Iterator[Container]:
    """A server that does jobs, and repeats them soon. In its module no other does any."""
    settings = {"job_backoff_s": 0.1, "retry_ms": 1000}
    container = Container(upstash_server, **settings).start()
    yield container
    container.kill()
    assert "Traceback" not in container.complaints, container.complaints


@pytest.fixture
def start(upstash: UpstashServer) -> Iterator[Start]:
    """Starts containers with the given settings, and kills them at the end."""
    containers: list[Container] = []

    def start_one(**settings: object) -> Container:
        container = Container(upstash, topic_max_events=100_000, **settings)
        containers.append(container)
        return container.start()

    yield start_one
    for container in containers:
        container.kill()
        assert "Traceback" not in container.complaints, container.complaints


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with chromium_page() as page:
        yield page
