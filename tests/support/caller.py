"""A user of a container, over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import httpx

from tests.support.container import Container


class Caller:
    """One signed-in user, until the end of an `async with` block."""

    def __init__(
        self, container: Container, user: str, roles: Sequence[str], *, timeout_s: float
    ) -> None:
        self.token = container.token(user, roles=roles)
        headers = {"Authorization": f"Bearer {self.token}"}
        self.http = httpx.AsyncClient(
            base_url=container.url, headers=headers, timeout=timeout_s, verify=False
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()
