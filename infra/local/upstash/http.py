"""uvicorn with what this server needs besides: faults that close connections."""

from __future__ import annotations

from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from infra.local.listening import Server, quiet
from infra.local.upstash.app import App
from infra.local.upstash.call import HANG_UP

_KEEP_ALIVE_S = 75


class _Protocol(HttpToolsProtocol):
    def on_message_begin(self) -> None:
        super().on_message_begin()
        # Faults close connections, for which ASGI has no message.
        cast("dict[str, Any]", self.scope)["state"] = {HANG_UP: self.transport.close}


def http_server(app: App) -> Server:
    """A server for `app` that logs errors only and leaves signals to its caller."""
    return Server(quiet(app, http=_Protocol, ws="none", timeout_keep_alive=_KEEP_ALIVE_S))
