"""A webhook endpoint that answers as it is told and remembers what it got."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_WITHIN_S = 10


@dataclass
class Delivery:
    body: bytes
    headers: dict[str, str]

    @property
    def items(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.body)["items"]
        return found


@dataclass
class Endpoint:
    """Answers the first deliveries with `failures`, and all others with 204."""

    failures: list[int] = field(default_factory=list)
    port: int = 0
    deliveries: list[Delivery] = field(default_factory=list)
    accepted: list[Delivery] = field(default_factory=list)
    _news: threading.Condition = field(default_factory=threading.Condition)
    _server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?x=1"

    def start(self) -> Endpoint:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["content-length"])
                headers = {name.lower(): text for name, text in self.headers.items()}
                status = endpoint._take(Delivery(self.rfile.read(length), headers))
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def wait(self, items: int) -> list[dict[str, Any]]:
        """The items of all accepted deliveries, once there are so many."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.items()) >= items, _WITHIN_S), self.items()
            return self.items()

    def items(self) -> list[dict[str, Any]]:
        return [item for delivery in self.accepted for item in delivery.items]

    def _take(self, delivery: Delivery) -> int:
        with self._news:
            self.deliveries.append(delivery)
            if self.failures:
                return self.failures.pop(0)
            self.accepted.append(delivery)
            self._news.notify_all()
            return 204
