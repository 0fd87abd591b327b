"""uvicorn, bent where this server needs it: faults and signals."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from infra.local.upstash.app import App
from infra.local.upstash.call import HANG_UP

_DRAIN_S = 1
_KEEP_ALIVE_S = 75


class _Protocol(HttpToolsProtocol):
    def on_message_begin(self) -> None:
        super().on_message_begin()
        # Faults close connections; ASGI itself has no word for that.
        cast("dict[str, Any]", self.scope)["state"] = {HANG_UP: self.transport.close}


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn would raise the signal again, and an orderly end must exit with 0.
        yield


def http_server(app: App) -> uvicorn.Server:
    """A server for `app` that logs errors only and leaves signals to its caller."""
    config = uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_DRAIN_S,
    )
    return _Server(config)
