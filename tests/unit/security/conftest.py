"""Servers for the tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.unit.security.jwks_server import JwksServer


@pytest.fixture
async def jwks() -> AsyncIterator[JwksServer]:
    """A JWKS server without keys."""
    async with JwksServer() as server:
        yield server
