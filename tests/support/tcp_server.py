"""Servers on free ports of this machine, for as long as a `with` block runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Self

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class TcpServer:
    """A server on this event loop. It serves by the given function, or by a subclass's `serve`.

    `url` is its address; `accepted` counts its connections. When the function returns or loses
    the client, the connection is closed. The end of the block ends all connections.
    """

    def __init__(self, serve: Serve | None = None) -> None:
        self.url = ""
        self.accepted = 0
        self._given = serve
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""
        assert self._given is not None, "give a function, or override serve"
        await self._given(reader, writer)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in (tasks := set(self._connections)):
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                await self.serve(reader, writer)
        except asyncio.CancelledError:
            pass  # the callback of asyncio's own server would complain
        finally:
            self._connections.discard(task)
            writer.close()


@dataclass(frozen=True)
class HttpRequest:
    """A request to an `http_server`. Names of headers are in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class HttpAnswer:
    """What an `http_server` says."""

    status: int
    body: bytes = b""
    media_type: str = "text/html"


@contextmanager
def http_server(answer: Callable[[HttpRequest], HttpAnswer], port: int = 0) -> Iterator[int]:
    """Answer GET and POST on threads, beside this event loop. Yields the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = {name.lower(): text for name, text in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            told = answer(HttpRequest(self.path, headers, body))
            self.send_response(told.status)
            self.send_header("Content-Type", told.media_type)
            self.send_header("Content-Length", str(len(told.body)))
            self.end_headers()
            self.wfile.write(told.body)

        do_POST = do_GET  # noqa: N815 - the base's name

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Write nothing: the test says what failed."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
