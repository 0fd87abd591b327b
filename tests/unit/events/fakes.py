"""What connections write to and are fed by, without a server and without a cohort."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from api.events.delivery.backlog import Backlog
from api.events.delivery.connection import Connection, Send
from tests.support.sse_parser import Frame, SseParser


class FakeSend:
    """A `send` that takes bytes at once, waits while `stall`ed, or raises once it `broke`."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.is_closed = False
        self._room = asyncio.Event()
        self._room.set()
        self._error: Exception | None = None

    async def __call__(self, message: Any) -> None:
        await self._room.wait()
        if self._error is not None:
            raise self._error
        self.chunks.append(message["body"])
        self.is_closed = not message["more_body"]

    @property
    def frames(self) -> list[Frame]:
        return SseParser().feed(b"".join(self.chunks))

    @property
    def text(self) -> bytes:
        return b"".join(self.chunks)

    def stall(self) -> None:
        self._room.clear()

    def go_on(self) -> None:
        self._room.set()

    def broke(self, error: Exception) -> None:
        self._error = error
        self._room.set()


class FakeFeed:
    """A backlog, and what connections told of themselves."""

    def __init__(self, max_bytes: int = 1000) -> None:
        self.backlog = Backlog(max_bytes)
        self.lagging: list[Connection] = []

    def cursor(self) -> bytes:
        return b"cursor-%d" % self.backlog.next

    def fell_behind(self, connection: Connection) -> None:
        self.lagging.append(connection)

    def caught_up(self, connection: Connection) -> None:
        self.lagging.remove(connection)


def connect(
    send: Send,
    *,
    named: bool = True,
    one_batch: bool = False,
    abort: Callable[[], None] = lambda: None,
    grace_s: float = 30,
) -> Connection:
    return Connection(
        send,
        named=named,
        one_batch=one_batch,
        retry_ms=lambda: 2000,
        abort=abort,
        grace_s=grace_s,
    )
