"""Instances of the application in this process, all with one local Upstash."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pydantic import SecretStr

from api.app import create_app
from api.events import Deadlines
from api.services import Services
from api.settings import Settings
from tests.support.upstash_server import UpstashServer

SECRET = "local-4f1c9a7be2d84c6f9b3e5a7d1c0f8e6b"


def settings_for(server: UpstashServer, **changes: Any) -> Settings:
    values: dict[str, Any] = {
        "env": "local",
        "UPSTASH_REDIS_REST_URL": server.url,
        "UPSTASH_REDIS_REST_TOKEN": SecretStr(server.token),
        "secret": SecretStr(SECRET),
        "poll_min_ms": 10,
        "poll_idle_ms": 20,
        **changes,
    }
    return Settings(**values)


class Instance:
    """One application, started and stopped by hand."""

    def __init__(self, settings: Settings, deadlines: Deadlines | None = None) -> None:
        self.settings = settings
        self.app = create_app(settings, deadlines=deadlines)
        self.services: Services = self.app.state.services
        self._running = self.services.running()

    async def start(self) -> Instance:
        await self._running.__aenter__()
        return self

    def poll_by_hand(self) -> None:
        """From now on logs are read only when a test calls `services.poller.run_once`."""
        self.services.poller.wake = lambda: None  # type: ignore[method-assign]

    async def stop(self) -> None:
        await self.services.streaming.open_streams.drain(timeout_s=0.1)
        await self._running.__aexit__(None, None, None)

    def token(self, user: str = "reader", *, ttl_s: float = 600, **kwargs: Any) -> str:
        sessions = self.services.security.sessions
        return sessions.issue(user, roles=["admin"], grants={}, ttl_s=ttl_s, **kwargs)


@asynccontextmanager
async def running(
    settings: Settings, deadlines: Deadlines | None = None
) -> AsyncIterator[Instance]:
    instance = await Instance(settings, deadlines).start()
    try:
        yield instance
    finally:
        await instance.stop()
