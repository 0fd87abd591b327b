"""A Runtime API of Lambda for one execution environment, which checks order and bytes."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from tests.support.http1 import Request, answer_requests, chunk, head, iter_body, read_body, whole
from tests.support.tcp_server import TcpServer

BASE = "/2018-06-01/runtime"
DELIMITER = b"\0" * 8
KNOWN_SIZE_BYTES = 2048  # a server in Go sends what is larger in chunks
STREAMED = "application/vnd.awslambda.http-integration-response"
MODE = "lambda-runtime-function-response-mode"
ERROR_TYPE = "lambda-runtime-function-error-type"
ERROR_BODY = "lambda-runtime-function-error-body"


class InvocationFailed(Exception):
    """The function did not answer. `args` are the type of the error and the report."""


@dataclass
class Invocation:
    """One event, and the answer to it. `chunks` has the chunks as they were sent.

    `reads` cleared stops the reading of the response.
    """

    event: Any
    deadline_ms: int
    id: str = field(default_factory=lambda: str(uuid4()))
    headers: dict[str, str] = field(default_factory=dict)
    chunks: list[bytes] = field(default_factory=list)
    arrived: list[float] = field(default_factory=list)
    trailers: dict[str, str] = field(default_factory=dict)
    error: tuple[str, Any] | None = None
    is_ended: bool = False
    ended_at: float = 0.0
    hang_up: Callable[[], None] = lambda: None
    reads: asyncio.Event = field(default_factory=asyncio.Event)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.reads.set()

    @property
    def is_streamed(self) -> bool:
        return self.headers.get(MODE) == "streaming"

    @property
    def prelude(self) -> Any:
        return json.loads(b"".join(self.chunks).partition(DELIMITER)[0])

    @property
    def body(self) -> bytes:
        """What has come after the prelude until now."""
        return b"".join(self.chunks).partition(DELIMITER)[2]

    @property
    def reported(self) -> Any:
        """The error that was reported in trailers."""
        return json.loads(base64.b64decode(self.trailers[ERROR_BODY]))

    def take(self, chunk: bytes) -> None:
        self.chunks.append(chunk)
        self.arrived.append(time.perf_counter())
        self._changed.set()

    def end(self, error: tuple[str, Any] | None = None) -> None:
        if not self.is_ended:
            self.error, self.is_ended, self.ended_at = error, True, time.time()
        self._changed.set()

    async def until(self, size: int) -> bool:
        """Return when more than `size` chunks have come; False when it ends before."""
        while len(self.chunks) <= size and not self.is_ended:
            self._changed.clear()
            await self._changed.wait()
        return len(self.chunks) > size

    async def ended(self, timeout_s: float = 15) -> Invocation:
        """Return at the end of the response. Raises InvocationFailed."""
        async with asyncio.timeout(timeout_s):
            size = 0
            while await self.until(size):
                size = len(self.chunks)
        if self.error:
            raise InvocationFailed(*self.error)
        return self


class RuntimeApi(TcpServer):
    """Serves one runtime, `at_once` invocations at a time.

    What is named in `broken` gets status 500.
    """

    def __init__(self, *, at_once: int = 1) -> None:
        super().__init__()
        self.at_once = at_once
        self.waiting = 0
        self.broken: set[str] = set()
        self.open: dict[str, Invocation] = {}
        self.init_error: tuple[str, Any] | None = None
        self.restore_error: tuple[str, Any] | None = None
        self.restored = asyncio.Event()
        self.reached_snapshot = asyncio.Event()
        self._queue: deque[Invocation] = deque()
        self._changed = asyncio.Condition()

    @property
    def address(self) -> str:
        """Host and port, as Lambda's environment variable has them."""
        return self.url.removeprefix("http://")

    @property
    def load(self) -> int:
        """How many invocations are queued or in work."""
        return len(self._queue) + len(self.open)

    async def invoke(self, event: Any, *, timeout_s: float = 30) -> Invocation:
        """Queue an event, which the runtime gets at its next poll."""
        invocation = Invocation(event, int((time.time() + timeout_s) * 1000))
        self._queue.append(invocation)
        await self._tell()
        return invocation

    async def until_polled(self, timeout_s: float = 30) -> None:
        """Return when the runtime polls for as many invocations as it can still take."""
        async with asyncio.timeout(timeout_s), self._changed:
            await self._changed.wait_for(lambda: self.waiting + len(self.open) >= self.at_once)

    async def let_go(self, invocation: Invocation) -> None:
        """Forget a failed invocation, and wait until the runtime polls again."""
        self.open.pop(invocation.id, None)
        await self.until_polled(5)

    def abandon(self, error: str) -> None:
        """Let all invocations fail, because the runtime is dead."""
        for invocation in [*self.open.values(), *self._queue]:
            invocation.end((error, {"errorType": error}))
        self.open.clear()
        self._queue.clear()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answer_requests(reader, writer, self._serve)

    async def _serve(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        match request.target.removeprefix(BASE).strip("/").split("/"):
            case ["invocation", "next"]:
                await self._next(reader, writer)
                return
            case ["invocation", invocation_id, "response"]:
                invocation = self.open.get(invocation_id)
                if invocation is not None:
                    invocation.hang_up = writer.transport.abort
                status = await self._response(invocation, request, reader)
            case ["invocation", invocation_id, "error"]:
                status = await self._error(self.open.get(invocation_id), request, reader)
            case ["init", "error"]:
                self.init_error = await _report(request, reader)
                status = 202
            case ["restore", "next"]:
                self.reached_snapshot.set()
                await self.restored.wait()
                status = 200
            case ["restore", "error"]:
                self.restore_error = await _report(request, reader)
                status = 202
            case _:
                status = 404
        status = 500 if self.broken & set(request.target.split("/")) else status
        writer.write(whole(status, b'{"status":"OK"}'))
        await writer.drain()

    async def _next(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self.open) + self.waiting >= self.at_once:
            writer.write(whole(403, b'{"errorType":"InvalidStateTransition"}'))
            return
        if "next" in self.broken:
            writer.write(whole(500))
            return
        self.waiting += 1
        await self._tell()
        coming = asyncio.ensure_future(self._take())
        leaving = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait([coming, leaving], return_when=asyncio.FIRST_COMPLETED)
            if leaving.done():
                if coming.done():  # it would be lost with the dead runtime
                    self._queue.appendleft(coming.result())
                raise ConnectionResetError
        finally:
            self.waiting -= 1
            coming.cancel()
            leaving.cancel()
            await asyncio.wait([coming, leaving])
        invocation = coming.result()
        self.open[invocation.id] = invocation
        event, headers = json.dumps(invocation.event).encode(), _headers(invocation)
        if len(event) > KNOWN_SIZE_BYTES:
            writer.write(head(200, headers | {"Transfer-Encoding": "chunked"}))
            writer.write(chunk(event) + b"0\r\n\r\n")
        else:
            writer.write(whole(200, event, headers))
        await writer.drain()

    async def _take(self) -> Invocation:
        async with self._changed:
            await self._changed.wait_for(lambda: bool(self._queue))
            return self._queue.popleft()

    async def _response(
        self, invocation: Invocation | None, request: Request, reader: asyncio.StreamReader
    ) -> int:
        if invocation is None or request.headers.get(MODE, "streaming") != "streaming":
            await read_body(reader, request)
            return 400
        if invocation.headers:
            return 403
        invocation.headers = request.headers
        try:
            async for part in iter_body(reader, request):
                invocation.take(part)
                await invocation.reads.wait()
        except (ConnectionError, asyncio.IncompleteReadError):
            invocation.end(("Runtime.TruncatedResponse", None))
            raise
        self.open.pop(invocation.id, None)
        invocation.trailers = request.trailers
        invocation.end()
        return 202

    async def _error(
        self, invocation: Invocation | None, request: Request, reader: asyncio.StreamReader
    ) -> int:
        report = await _report(request, reader)
        if invocation is None or invocation.headers:
            return 403
        invocation.headers = request.headers
        self.open.pop(invocation.id, None)
        invocation.end(report)
        return 202


async def _report(request: Request, reader: asyncio.StreamReader) -> tuple[str, Any]:
    body = json.loads(await read_body(reader, request))
    return request.headers.get(ERROR_TYPE, body["errorType"]), body


def _headers(invocation: Invocation) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "Lambda-Runtime-Aws-Request-Id": invocation.id,
        "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
        "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-central-1:1:function:test",
        "Lambda-Runtime-Trace-Id": f"Root=1-{invocation.id[:8]}",
        "Lambda-Runtime-Invocation-Id": f"i-{invocation.id}",
    }
