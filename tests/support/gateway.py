"""A Function URL or an API Gateway in front of a function, over HTTP/1.1."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.support.execution_environment import ExecutionEnvironment
from tests.support.gateway_events import function_url
from tests.support.http1 import Request, answer_requests, chunk, head, read_body, whole
from tests.support.runtime_api import Invocation
from tests.support.tcp_server import TcpServer

Form = Callable[..., dict[str, Any]]


class Gateway(TcpServer):
    """Gives each request as an event of the given form to an idle environment, in turn.

    A client that leaves does not interrupt the function, as on Lambda: its environment stays
    busy until the response ends. An invocation that fails is a 502, or a cut response.
    """

    def __init__(
        self, environments: Sequence[ExecutionEnvironment], form: Form = function_url
    ) -> None:
        super().__init__()
        self._environments = list(environments)
        self._form = form
        self._turn = asyncio.Condition()
        self._ending: set[asyncio.Task[None]] = set()

    async def __aexit__(self, *error: object) -> None:
        await super().__aexit__(*error)
        for task in self._ending:
            task.cancel()
        if self._ending:
            await asyncio.wait(self._ending)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await answer_requests(reader, writer, self._serve)

    async def _serve(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        body = await read_body(reader, request)
        parts = urlsplit(request.target)
        event = self._form(
            unquote(parts.path),
            parse_qsl(parts.query, keep_blank_values=True),
            request.headers,
            method=request.method,
            body=body.decode(),
        )
        invocation = await self._invoke(event)
        if not await invocation.until(1) and not invocation.chunks:
            writer.write(whole(502, b'{"message":"Internal Server Error"}'))
        elif invocation.is_streamed:
            await _stream(invocation, writer)
        else:
            writer.write(_buffered(json.loads(invocation.chunks[0])))
        await writer.drain()

    async def _invoke(self, event: Any) -> Invocation:
        async with self._turn:
            while (idle := self._take_idle()) is None:
                await self._turn.wait()
            invocation = await idle.invoke(event)
        ending = asyncio.create_task(self._until_idle(invocation))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)
        return invocation

    def _take_idle(self) -> ExecutionEnvironment | None:
        """Take an idle environment, None if all are busy. The next request gets another."""
        for one in self._environments:
            if one.is_idle:
                self._environments.remove(one)
                self._environments.append(one)
                return one
        return None

    async def _until_idle(self, invocation: Invocation) -> None:
        size = 0
        while await invocation.until(size):
            size = len(invocation.chunks)
        async with self._turn:
            self._turn.notify_all()


async def _stream(invocation: Invocation, writer: asyncio.StreamWriter) -> None:
    """Pass each chunk on as it comes. A failure cuts the response."""
    prelude = invocation.prelude
    headers = [*prelude["headers"].items(), ("Transfer-Encoding", "chunked")]
    headers += [("Set-Cookie", cookie) for cookie in prelude["cookies"]]
    writer.write(head(prelude["statusCode"], headers))
    size = 2
    while await invocation.until(size):
        writer.write(b"".join(chunk(one) for one in invocation.chunks[size:]))
        size = len(invocation.chunks)
        await writer.drain()
    if invocation.error:
        raise ConnectionResetError
    writer.write(b"0\r\n\r\n")


def _buffered(answer: dict[str, Any]) -> bytes:
    raw = answer.get("body", "").encode()
    body = base64.b64decode(raw) if answer["isBase64Encoded"] else raw
    headers = list((answer.get("headers") or {}).items())
    headers += [("Set-Cookie", cookie) for cookie in answer.get("cookies") or ()]
    for name, values in (answer.get("multiValueHeaders") or {}).items():
        headers += [(name, value) for value in values]
    headers.append(("Content-Length", str(len(body))))
    return head(answer["statusCode"], headers) + body
