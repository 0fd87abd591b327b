"""One HTTP request over ASGI, and the ways to answer it or to break its connection."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from infra.local.asgi import ASGIMessage, Receive, Send

MAX_BYTES = 10 * 1024 * 1024
HANG_UP = "upstash.hang_up"
"""The key in the scope's state of a function that closes the connection; `http` puts it there."""
JSON = b"application/json"
_sync_tokens = itertools.count(1)


class TooLarge(Exception):
    """A request or a reply that is larger than Upstash's plans allow."""

    def __init__(self, actual_bytes: int) -> None:
        super().__init__(
            f"ERR max request size exceeded. Limit: {MAX_BYTES} bytes, Actual: {actual_bytes} bytes"
        )


class Call:
    """A request whose headers are read, but not its body."""

    def __init__(self, scope: ASGIMessage, receive: Receive, send: Send) -> None:
        self.method: str = scope["method"]
        self.path: bytes = scope["raw_path"]
        self.query: bytes = scope["query_string"]
        self._headers: dict[bytes, bytes] = dict(scope["headers"])
        self._hang_up: Callable[[], None] = scope["state"][HANG_UP]
        self._receive = receive
        self._send = send

    def header(self, name: bytes) -> bytes | None:
        """The last header of this lower-case name, or None."""
        return self._headers.get(name)

    async def body(self) -> bytes:
        """Read the whole body. Raises TooLarge as soon as its size is known."""
        announced = int(self.header(b"content-length") or 0)
        if announced > MAX_BYTES:
            raise TooLarge(announced)
        body: bytes = b""
        while True:
            message = await self._receive()
            body += message.get("body", b"")
            if len(body) > MAX_BYTES:
                raise TooLarge(len(body))
            if not message.get("more_body", False):
                return body

    async def reply(self, status: int, body: bytes, content_type: bytes = JSON) -> None:
        await self._start(status, content_type, (b"content-length", b"%d" % len(body)))
        await self._send({"type": "http.response.body", "body": body})

    async def start_stream(self) -> None:
        """Begin an event stream, which `write` continues."""
        await self._start(200, b"text/event-stream", (b"cache-control", b"no-cache"))

    async def write(self, chunk: bytes) -> None:
        """Send a part of a stream. It waits while the client does not read."""
        await self._send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def reply_half(self, status: int, body: bytes) -> None:
        """Send a head for the whole body, then half of the body, and close the connection."""
        await self._start(status, JSON, (b"content-length", b"%d" % len(body)))
        await self.write(body[: len(body) // 2])
        await self.hang_up()

    async def hang_up(self) -> None:
        """Close the connection at once, without an answer if none was begun."""
        self._hang_up()
        await self.gone()

    async def gone(self) -> None:
        """Return when the client has left."""
        is_here = True
        while is_here:
            # Other messages are the rest of a body.
            is_here = (await self._receive())["type"] != "http.disconnect"

    async def _start(self, status: int, content_type: bytes, length: tuple[bytes, bytes]) -> None:
        token = b"local-%d" % next(_sync_tokens)
        headers = [(b"content-type", content_type), length, (b"upstash-sync-token", token)]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
