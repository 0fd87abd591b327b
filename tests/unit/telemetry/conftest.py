from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest
import structlog

from api.settings import Settings
from api.telemetry import logs

Configure = Callable[..., None]


@pytest.fixture
def configure() -> Iterator[Configure]:
    """Configures the logs of the process, for the time of a test."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level

    def with_settings(**changes: object) -> None:
        values = {
            "UPSTASH_REDIS_REST_URL": "http://127.0.0.1:1",
            "UPSTASH_REDIS_REST_TOKEN": "token",
            "secret": "7d1c0f8e6b4f1c9a7be2d84c6f9b3e5a",
            "env": "production",
            **changes,
        }
        logs.configure(Settings.model_validate(values))

    yield with_settings
    root.handlers = handlers
    root.setLevel(level)
    for name in logs.CHATTY:
        logging.getLogger(name).setLevel(logging.NOTSET)
    structlog.reset_defaults()
