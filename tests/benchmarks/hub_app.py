"""A small Litestar app whose hub drives each stream's `send`, under a server of choice.

`python -m tests.benchmarks.hub_app httptools|h11|granian`
"""

import asyncio
import sys
from collections.abc import Generator, Iterator
from threading import Thread
from typing import Any

from litestar import Litestar, Request, get, post
from litestar.datastructures import State
from litestar.types import ASGIApp, HTTPResponseBodyEvent, Receive, Scope, Send

from tests.benchmarks.announced import announce_when_reachable, serve
from tests.support.ports import free_port

_HEADERS = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]


class Started:
    """A send that had to wait: awaiting it finishes what its first step began."""

    def __init__(self, first: object, rest: Iterator[object]) -> None:
        self._first = first
        self._rest = rest

    def __await__(self) -> Generator[Any, Any, None]:
        yield self._first
        yield from self._rest


class Stream:
    """One reader. A send that completes at once costs no task; only one that waits gets it."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._waiting: list[bytes] = []
        self._catching_up: asyncio.Task[None] | None = None

    def offer(self, frame: bytes) -> None:
        if self._catching_up is not None:
            self._waiting.append(frame)
            return
        step = self._send(_body(frame)).__await__()
        try:
            first = next(step)
        except StopIteration:
            return
        self._catching_up = asyncio.create_task(self._catch_up(Started(first, step)))

    async def _catch_up(self, started: Started) -> None:
        await started
        while self._waiting:
            joined = b"".join(self._waiting)
            self._waiting.clear()
            await self._send(_body(joined))
        self._catching_up = None


class Hub:
    def __init__(self) -> None:
        self._streams: set[Stream] = set()

    def publish(self, payload: bytes) -> None:
        frame = b"event: tick\ndata: %b\n\n" % payload
        for stream in self._streams:
            stream.offer(frame)

    async def stream(self, _: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await send(_body(b"event: connected\ndata: {}\n\n"))
        stream = Stream(send)
        self._streams.add(stream)
        try:
            while (await receive())["type"] != "http.disconnect":
                pass
        finally:
            self._streams.discard(stream)


def _body(body: bytes) -> HTTPResponseBodyEvent:
    return {"type": "http.response.body", "body": body, "more_body": True}


hub = Hub()


@get("/events")
async def read_events() -> ASGIApp:
    return hub.stream


@post("/publish", status_code=204)
async def publish(request: Request[object, object, State]) -> None:
    for payload in (await request.body()).splitlines():
        hub.publish(payload)


app = Litestar([read_events, publish], openapi_config=None)


def serve_granian() -> None:
    # Not among our requirements: measured only where it is installed.
    from granian import Granian  # type: ignore[import-not-found, unused-ignore]

    port = free_port()
    server = Granian("tests.benchmarks.hub_app:app", port=port, interface="asgi", loop="uvloop")
    # Its start-up hook runs before the socket listens, so readiness is a connection that works.
    Thread(target=announce_when_reachable, args=(port,), daemon=True).start()
    server.serve()


if __name__ == "__main__":
    if sys.argv[1] == "granian":
        serve_granian()
    else:
        serve(app, sys.argv[1])
