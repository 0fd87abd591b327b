"""uvicorn that prints its address when it listens, as the other servers do."""

import json
import socket

import uvicorn
from litestar import Litestar


class AnnouncedServer(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        port = self.servers[0].sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        print(json.dumps({"url": url, "publish_url": f"{url}/publish"}), flush=True)


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
