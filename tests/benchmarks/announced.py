"""Servers that print their address when they listen, as every measured server does."""

import json
import socket
import time

import uvicorn
from litestar import Litestar


def announce(port: int) -> None:
    url = f"http://127.0.0.1:{port}"
    print(json.dumps({"url": url, "publish_url": f"{url}/publish"}), flush=True)


def announce_when_reachable(port: int) -> None:
    """For a server without a hook that runs once it listens."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.02)
            continue
        announce(port)
        return


class AnnouncedServer(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        announce(self.servers[0].sockets[0].getsockname()[1])


def serve(app: Litestar, http: str = "httptools") -> None:
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        http=http,
        loop="uvloop",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    AnnouncedServer(config).run()
