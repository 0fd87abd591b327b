"""Raw HTTP to the local Upstash server, with the full token unless a test says otherwise."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest

from tests.support.upstash_server import UpstashServer


class Rest:
    """One client of the REST API that shows status, headers and body as they are."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def run(self, *command: object, **headers: str) -> Any:
        """The decoded body of one command; errors come as `{"error": ...}`."""
        return (await self.http.post("/", json=command, headers=headers)).json()

    async def result(self, *command: object) -> Any:
        """The result of one command that must succeed."""
        return (await self.run(*command))["result"]

    async def batch(self, path: str, *commands: Sequence[object]) -> Any:
        return (await self.http.post(path, json=commands)).json()


@pytest.fixture
async def rest(upstash: UpstashServer) -> AsyncIterator[Rest]:
    async with httpx.AsyncClient(
        base_url=upstash.url, headers=upstash.headers(), timeout=10, verify=False
    ) as http:
        yield Rest(http)
