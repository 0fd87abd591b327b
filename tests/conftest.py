"""Fixtures for every suite: servers are started once per session and reset before each test."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest
import structlog

from tests.support.ably_server import AblyServer
from tests.support.upstash_server import UpstashServer

# `norecursedirs` replaces pytest's defaults, so a `.hypothesis` beside `tests` would fail the
# next collection: its examples live in the cache directory instead.
os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", ".pytest_cache/hypothesis")


def pytest_collection_finish() -> None:
    """Keep the collector from what lives as long as the session.

    To make an application then takes a quarter less CPU time, and most tests make one.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


@pytest.fixture(autouse=True)
def _logs_as_by_default() -> Iterator[None]:
    """What a test configures of the process's logs does not reach the tests that follow."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def upstash_server() -> Iterator[UpstashServer]:
    """The session's local Upstash server. Tests take `upstash` instead."""
    server = UpstashServer().start()
    yield server
    assert server.stop() == 0, server.complaints
    assert not server.complaints


@pytest.fixture
def upstash(upstash_server: UpstashServer) -> UpstashServer:
    """An empty database without faults and without anything billed."""
    upstash_server.reset()
    return upstash_server


@pytest.fixture(scope="session")
def ably_server() -> Iterator[AblyServer]:
    """The session's local Ably server. Tests take `ably` instead."""
    server = AblyServer("--webhook-interval=0.02", "--webhook-retry=0.05").start()
    yield server
    assert server.stop() == 0, server.complaints
    assert not server.complaints


@pytest.fixture
def ably(ably_server: AblyServer) -> AblyServer:
    """Nobody connected, nothing published, no webhooks, no faults."""
    ably_server.reset()
    ably_server.webhook("")
    return ably_server
