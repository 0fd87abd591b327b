"""The real application of production mode, in this process, on the real local store."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from api.security.tokens import SessionTokens
from tests.support.instances import Instance, running, settings_for
from tests.support.upstash_server import UpstashServer

SECRET = "7d1c0f8e6b4f1c9a7be2d84c6f9b3e5a"
METRICS_TOKEN = "metrics-only"
GRANTS = {"read": ["shop:**"], "publish": ["shop:**"]}


@dataclass(frozen=True)
class Api:
    """A client without credentials of its own, and tokens for it."""

    client: httpx.AsyncClient
    instance: Instance

    def token(self, *roles: str, issued_ago_s: float = 0.0) -> str:
        """Of alice, who may read and publish `shop:**`."""
        sessions = SessionTokens(
            self.instance.settings.secret.get_secret_value(),
            clock=lambda: time.time() - issued_ago_s,
            new_id=lambda: uuid4().hex,
        )
        return sessions.issue("alice", roles=list(roles), grants=GRANTS, ttl_s=600)

    def bearer(self, *roles: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(*roles)}"}

    async def ticket(self, *topics: str) -> str:
        answer = await self.client.post(
            "/api/stream-tickets", json={"topics": topics}, headers=self.bearer()
        )
        ticket: str = answer.raise_for_status().json()["ticket"]
        return ticket


def client_of(instance: Instance) -> httpx.AsyncClient:
    app: Any = instance.app  # httpx and Litestar spell the same protocol differently
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    host = "localhost" if instance.settings.is_local else "api.example"
    return httpx.AsyncClient(transport=transport, base_url=f"https://{host}")


def production(upstash: UpstashServer, **changes: Any) -> Any:
    usual = {
        "env": "production",
        "secret": SECRET,
        "metrics_token": METRICS_TOKEN,
        # Never reached: `.invalid` has no addresses.
        "relay_sources": {"prices": {"url": "https://upstream.invalid/", "everyone": True}},
    }
    return settings_for(upstash, **(usual | changes))


@pytest.fixture
async def api(upstash: UpstashServer) -> AsyncIterator[Api]:
    async with running(production(upstash)) as instance, client_of(instance) as client:
        yield Api(client, instance)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_api(upstash_server: UpstashServer) -> AsyncIterator[Api]:
    """As `api`, one for a module: for tests that change nothing."""
    upstash_server.reset()
    async with running(production(upstash_server)) as instance, client_of(instance) as client:
        yield Api(client, instance)


@pytest.fixture
async def local_api(upstash: UpstashServer) -> AsyncIterator[Api]:
    async with running(settings_for(upstash)) as instance, client_of(instance) as client:
        yield Api(client, instance)
