"""An instance, and one who writes feeds."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.client import Client
from tests.support.instances import Instance, running, settings_for
from tests.support.upstash_server import UpstashServer
from tests.support.users import user

FEED = "workspace:42"


@pytest.fixture
async def instance(upstash: UpstashServer) -> AsyncIterator[Instance]:
    async with running(settings_for(upstash)) as instance:
        yield instance


@pytest.fixture
async def writer(instance: Instance) -> AsyncIterator[Client]:
    """Reads and publishes in the feed `FEED`."""
    grants = [f"{FEED}:**"]
    client = user(instance, "wendy", read=grants, publish=grants)
    async with client.http:
        yield client
