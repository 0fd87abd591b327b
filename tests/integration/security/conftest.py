"""A client of the local store for the tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from api.telemetry.meter import CommandMeter
from api.upstash import UpstashClient
from tests.support.upstash_server import UpstashServer


@pytest.fixture
def meter() -> CommandMeter:
    """What our own client believes to be billed."""
    return CommandMeter()


@pytest.fixture
async def redis(upstash: UpstashServer, meter: CommandMeter) -> AsyncIterator[UpstashClient]:
    client = UpstashClient(upstash.url, upstash.token, timeout_s=5, meter=meter)
    yield client
    await client.close()
