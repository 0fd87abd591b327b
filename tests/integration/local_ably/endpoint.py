"""A webhook endpoint that answers as it is told and remembers what it got."""

from __future__ import annotations

import json
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from tests.support.tcp_server import HttpAnswer, HttpRequest, http_server

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
    _running: ExitStack = field(default_factory=ExitStack)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?x=1"

    def start(self) -> Endpoint:
        self.port = self._running.enter_context(http_server(self._take, self.port))
        return self

    def stop(self) -> None:
        self._running.close()

    def wait(self, items: int) -> list[dict[str, Any]]:
        """The items of all accepted deliveries, once there are so many."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.items()) >= items, _WITHIN_S), self.items()
            return self.items()

    def items(self) -> list[dict[str, Any]]:
        return [item for delivery in self.accepted for item in delivery.items]

    def _take(self, request: HttpRequest) -> HttpAnswer:
        delivery = Delivery(request.body, request.headers)
        with self._news:
            self.deliveries.append(delivery)
            if self.failures:
                return HttpAnswer(self.failures.pop(0))
            self.accepted.append(delivery)
            self._news.notify_all()
            return HttpAnswer(204)
