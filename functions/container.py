"""The application under an ASGI server, for containers and the local stack.

It also does jobs, `MILLRACE_JOB_WORKERS` at once. SIGTERM ends every stream with `bye shutdown`
and a jittered `retry:`, refuses new ones, hands jobs back, and lets short requests finish.
"""

import asyncio
import json
import signal
import socket
import sys
from collections.abc import Sequence
from functools import partial
from typing import cast

import uvicorn
from litestar import Litestar

from api.app import create_app
from api.jobs import Worker
from api.services import Services
from api.settings import Settings, SettingsError
from functions.connection import Connection, Limits
from functions.memory import freeze_heap
from functions.settings import read_settings
from functions.sqs import queue_of

# What a client that stopped reading may keep in the kernel's buffer, and for how long.
SEND_BUFFER_BYTES = 262_144
STALLED_MS = 60_000
BACKLOG = 2048


class DrainingServer(uvicorn.Server):
    """A server that ends its streams before it waits for connections to close."""

    def __init__(
        self, config: uvicorn.Config, services: Services, worker: Worker, url: str
    ) -> None:
        super().__init__(config)
        self._services = services
        self._worker = worker
        self._url = url

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._worker.start()
        print(json.dumps({"url": self._url}), flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        drain_s = self._services.settings.drain_s
        await asyncio.gather(
            self._services.streaming.open_streams.drain(timeout_s=drain_s),
            self._worker.drain(timeout_s=drain_s),
        )
        await super().shutdown(sockets)


def listening_socket(host: str, port: int) -> socket.socket:
    """A bound socket. Its connections have limited buffers, and notice when a client is gone.

    Raises OSError when the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STALLED_MS)
    listener.bind((host, port))
    listener.setblocking(False)  # noqa: FBT003  # the standard library's signature
    return listener


def server(
    app: Litestar, worker: Worker, settings: Settings, listener: socket.socket
) -> DrainingServer:
    """The server that serves `app` on `listener`, and starts and drains `worker`."""
    # uvicorn only calls it, as it would call the class.
    http = cast("type[asyncio.Protocol]", partial(Connection, limits=Limits.of(settings)))
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=http,
        ws="none",
        lifespan="on",
        proxy_headers=False,  # addresses behind proxies are api.security.addresses' business
        server_header=False,
        access_log=False,
        log_config=None,
        timeout_graceful_shutdown=max(1, int(settings.drain_s)),
        timeout_keep_alive=75,
        backlog=BACKLOG,
    )
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return DrainingServer(config, app.state.services, worker, f"http://{shown}:{port}")


def main(_: Sequence[str] = ()) -> int:
    """Serve until a signal. Returns the exit status: 2 for bad settings, 1 for a taken port."""
    try:
        settings = read_settings()
        app = create_app(settings, queue=queue_of(settings))
    except SettingsError as error:
        print("\n".join(error.complaints), file=sys.stderr)
        return 2
    try:
        listener = listening_socket(settings.host, settings.port)
    except OSError as error:
        print(f"cannot listen on {settings.host}:{settings.port}: {error}", file=sys.stderr)
        return 1
    worker = app.state.services.jobs.workers().worker
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        # uvicorn raises the signal again at its end, which must not be a failure of the process.
        signal.signal(signal_number, lambda *_: None)
    freeze_heap()
    server(app, worker, settings, listener).run(sockets=[listener])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
