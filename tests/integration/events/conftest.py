"""The log, and instances of the application, on the real store."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from api.events.event import EventId
from api.events.log.retention import Retention, Retentions
from api.events.log.topic_log import TopicLog
from api.events.stream.deadline import Deadlines
from api.events.topic import TopicName, log_key
from api.telemetry.meter import CommandMeter
from api.upstash import UpstashClient
from tests.support.client import Client
from tests.support.instances import Instance, running, settings_for
from tests.support.upstash_server import UpstashServer
from tests.unit.security.support import FakeClock

KEEP = Retention(max_events=1000, ttl_s=86_400, idempotency_ttl_s=3600)

Start = Callable[..., Awaitable[Instance]]


@pytest.fixture
def meter() -> CommandMeter:
    return CommandMeter()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def redis(upstash: UpstashServer, meter: CommandMeter) -> AsyncIterator[UpstashClient]:
    client = UpstashClient(upstash.url, upstash.token, timeout_s=10, meter=meter)
    yield client
    await client.close()


@pytest.fixture
def log(redis: UpstashClient, clock: FakeClock) -> TopicLog:
    return TopicLog(redis, Retentions(KEEP), clock)


@pytest.fixture
async def start(upstash: UpstashServer) -> AsyncIterator[Start]:
    """Starts instances that poll every few milliseconds; options are settings."""
    async with AsyncExitStack() as stack:

        async def start(deadlines: Deadlines | None = None, **changes: Any) -> Instance:
            settings = settings_for(upstash, **changes)
            return await stack.enter_async_context(running(settings, deadlines))

        yield start


@pytest.fixture
async def instance(start: Start) -> Instance:
    return await start()


@pytest.fixture
async def client(instance: Instance) -> AsyncIterator[Client]:
    one = Client(instance)
    yield one
    await one.http.aclose()


async def put(log: TopicLog, topic: str, *data: Any, kind: str = "tick") -> list[EventId]:
    """Store events as another process would."""
    if not data:
        return []
    name = TopicName(topic)
    entries = [(name, json.dumps({"type": kind, "data": one})) for one in data]
    stored = await log.append(entries)
    assert all(isinstance(one, EventId) for one in stored)
    return [one for one in stored if isinstance(one, EventId)]


async def put_at(redis: UpstashClient, topic: str, *ids: int, size: int = 1) -> None:
    """Store an event at each `<id>-0`, whose data has `size` characters."""
    entry = json.dumps({"type": "tick", "data": "x" * size})
    for number in ids:
        await redis.write("XADD", log_key(TopicName(topic)), f"{number}-0", "e", entry)
