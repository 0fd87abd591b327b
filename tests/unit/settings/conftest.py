"""Reads the settings from an environment in which nothing else is set."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from api.settings import Settings

Read = Callable[..., Settings]
BASE = {
    "UPSTASH_REDIS_REST_URL": "https://db.example",
    "UPSTASH_REDIS_REST_TOKEN": "the-token",
    "MILLRACE_SECRET": "7d1c0f8e6b4f1c9a7be2d84c6f9b3e5a",
}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Read:
    """Settings of a deployment in production, with the given variables beside the needed ones."""
    for name in list(os.environ):
        if name.upper().startswith(("MILLRACE_", "UPSTASH_", "ABLY_")):
            monkeypatch.delenv(name)

    def from_environment(**variables: str) -> Settings:
        for name, value in {**BASE, **variables}.items():
            monkeypatch.setenv(name, value)
        return Settings.read()

    return from_environment
