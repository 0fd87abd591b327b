"""A pool of kept-alive HTTP/1.1 connections for small POST requests, which carry all polls.

httpx costs 0.6 ms of CPU for each call, and several times that when calls overlap. That would be
most of the CPU time of a process with a thousand idle readers. The parser is llhttp, in httptools.
"""

import asyncio
import re
import select
import ssl
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

import httptools

FINAL = 200  # below are interim responses, such as 103
# A connection idle for longer may have ended unnoticed, while the function was frozen.
IDLE_S = 60.0
# A line end in a value would write a header, or a request, of its own.
HEADER_NAME = re.compile(r"[A-Za-z0-9-]+")
HEADER_VALUE = re.compile(r"[\x20-\x7e]*")
PATH = re.compile(r"[\x21-\x7e]+")


class NotSentError(Exception):
    """Raised when nothing was sent: no connection was made, or the head would be malformed."""


class LostError(Exception):
    """Raised when the connection ended or sent no HTTP before the answer was complete."""


@dataclass(slots=True)
class RestAnswer:
    """An HTTP response: status, header fields with names in lower case, and the whole body."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class _Connection(asyncio.Protocol):
    """One connection, with at most one request under way."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._parser = httptools.HttpResponseParser(self)
        self._answer = RestAnswer()
        self._parts: list[bytes] = []
        self._waiting: asyncio.Future[RestAnswer] | None = None
        self.is_open = False
        self.used_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not a subclass
        self.is_open = True

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(type(exc).__name__ if exc else "closed")

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._fail("not HTTP")
            self.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._answer.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_message_complete(self) -> None:
        answer, waiting = self._answer, self._waiting
        answer.status = self._parser.get_status_code()
        if answer.status < FINAL:
            self._answer, self._parts = RestAnswer(), []
            return
        answer.body = b"".join(self._parts)
        self.is_open = self.is_open and self._parser.should_keep_alive()
        self._answer, self._parts, self._waiting = RestAnswer(), [], None
        if waiting is None:  # without a request: it would be taken for the answer to the next one
            self.abort()
        elif not waiting.done():
            waiting.set_result(answer)

    async def exchange(self, request: bytes) -> RestAnswer:
        """Send a request and return its answer. Raises LostError."""
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiting

    @property
    def is_reusable(self) -> bool:
        """Whether it is open. Notices an end that the loop has not seen yet, as after a freeze."""
        if not self.is_open or self._transport.is_closing():
            return False
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not poll.poll(0)

    def abort(self) -> None:
        self.is_open = False
        self._transport.abort()

    def _fail(self, why: str) -> None:
        self.is_open = False
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(LostError(why))


class RestPool:
    """A pool of connections to the origin of `url`, for one event loop.

    It opens at most `size` connections; further callers wait for their turn. `connect_timeout_s`
    limits how long a connection may take to open. Callers limit the rest of a call themselves: when
    a call is cancelled, its connection is closed, so that no answer is taken for that of another
    request. `clock` returns seconds since 1970, which also pass while the process is frozen.
    """

    def __init__(
        self,
        url: str,
        *,
        size: int,
        connect_timeout_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._is_tls = parts.scheme == "https"
        self._authority = parts.netloc.rpartition("@")[2]
        self._connect_timeout_s = connect_timeout_s
        self._clock = clock
        self._turn = asyncio.Semaphore(size)
        self._idle: deque[_Connection] = deque()
        self._tls: ssl.SSLContext | None = None

    async def post(self, path: str, headers: Mapping[str, str], body: bytes) -> RestAnswer:
        """Send one POST request and return its answer, whatever its status is.

        Raises `LostError`, and `NotSentError`, also if `path` or a header holds characters that
        could end the line in the head of the request.
        """
        request = self._head(path, headers, len(body)) + body
        async with self._turn:
            connection = await self._connection()
            try:
                answer = await connection.exchange(request)
            except BaseException:
                connection.abort()
                raise
            if connection.is_open:
                connection.used_at = self._clock()
                self._idle.append(connection)
            else:
                connection.abort()
            return answer

    async def close(self) -> None:
        """Close the idle connections. Those in use end when their calls end."""
        while self._idle:
            self._idle.pop().abort()
        await asyncio.sleep(0)  # transports close in the loop's next round

    def _head(self, path: str, headers: Mapping[str, str], size: int) -> bytes:
        is_safe = PATH.fullmatch(path) and all(
            HEADER_NAME.fullmatch(name) and HEADER_VALUE.fullmatch(value)
            for name, value in headers.items()
        )
        if not is_safe:
            raise NotSentError("not a header")
        lines = [f"POST {path} HTTP/1.1", f"Host: {self._authority}", f"Content-Length: {size}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    async def _connection(self) -> _Connection:
        while self._idle:
            # The one used last: the others may fall idle and be closed by the server.
            connection = self._idle.pop()
            is_fresh = 0 <= self._clock() - connection.used_at < IDLE_S
            if is_fresh and connection.is_reusable:
                return connection
            connection.abort()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                _, connection = await loop.create_connection(
                    _Connection, self._host, self._port, ssl=self._certificates()
                )
        except (OSError, TimeoutError) as error:
            raise NotSentError(type(error).__name__) from error
        return connection

    def _certificates(self) -> ssl.SSLContext | None:
        if self._is_tls and self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls
