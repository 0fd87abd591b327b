"""Clients of the local store, patient and hasty."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import pytest

from api.telemetry.meter import CommandMeter
from api.upstash import UpstashClient
from tests.support.upstash_server import UpstashServer

HASTY_S = 0.5


@pytest.fixture
def meter() -> CommandMeter:
    """What our own client believes to be billed."""
    return CommandMeter()


@pytest.fixture
async def redis(upstash: UpstashServer, meter: CommandMeter) -> AsyncIterator[UpstashClient]:
    client = UpstashClient(
        upstash.url, upstash.token, timeout_s=10, meter=meter, rng=random.Random(1)
    )
    yield client
    await client.close()


@pytest.fixture
async def hasty(upstash: UpstashServer, meter: CommandMeter) -> AsyncIterator[UpstashClient]:
    """A client that gives up after `HASTY_S` in all, and after half of that on each try."""
    client = UpstashClient(
        upstash.url, upstash.token, timeout_s=HASTY_S, meter=meter, rng=random.Random(1)
    )
    yield client
    await client.close()
