"""The ASGI application: bytes on sockets to requests and frames, and back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from infra.local.ably.apps import Apps
from infra.local.ably.codec import Format, decode, encode
from infra.local.ably.connection import Connection
from infra.local.ably.control import PREFIX, Control
from infra.local.ably.cors import cors
from infra.local.ably.errors import AblyError, bad_request
from infra.local.ably.frames import Action, Frame
from infra.local.ably.outbox import Outbox
from infra.local.ably.request import Reply, Request, query_of
from infra.local.ably.rest import Rest

ASGIMessage: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[ASGIMessage]]
Send: TypeAlias = Callable[[ASGIMessage], Awaitable[None]]

_MAX_BODY_BYTES = 1024 * 1024


class Gateway:
    """One server's edge."""

    def __init__(self, apps: Apps, rest: Rest, control: Control) -> None:
        self._apps = apps
        self._rest = rest
        self._control = control

    async def __call__(self, scope: ASGIMessage, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            # On any path: the SDKs append theirs to what they take for the host.
            await _Socket(self._apps, scope, receive, send).serve()
        else:
            await self._http(scope, receive, send)

    async def _http(self, scope: ASGIMessage, receive: Receive, send: Send) -> None:
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        request = Request.of(
            scope["method"],
            scope["raw_path"],
            scope["query_string"],
            headers,
            await _body(receive),
        )
        reply = self._reply(request)
        if request.query.get("envelope") == "json":
            reply = reply.enveloped()
        await _send_reply(send, request, reply)

    def _reply(self, request: Request) -> Reply:
        if request.method == "OPTIONS":
            return Reply(204, None)
        try:
            if request.path[:1] == (PREFIX,):
                return self._control.answer(request)
            return self._rest.answer(request)
        except AblyError as error:
            return Reply.of_error(error)


class _Socket:
    """One WebSocket: reads frames into a connection, writes what its outbox holds."""

    def __init__(self, apps: Apps, scope: ASGIMessage, receive: Receive, send: Send) -> None:
        self._apps = apps
        self._query = query_of(scope["query_string"])
        self._format = Format.of(self._query.get("format"))
        self._receive = receive
        self._send = send
        self._news = asyncio.Event()

    async def serve(self) -> None:
        await self._receive()
        # First accepted, then refused: SDKs take a failed upgrade for a broken network.
        await self._send({"type": "websocket.accept"})
        outbox = Outbox(self._news.set)
        connection = self._connect(outbox)
        writing = asyncio.create_task(self._write(outbox))
        try:
            await self._read(connection)
        finally:
            if connection is not None:
                connection.dropped(outbox)
            outbox.end()
            await asyncio.gather(writing, return_exceptions=True)

    def _connect(self, outbox: Outbox) -> Connection | None:
        try:
            grant = self._apps.credentials.of_query(self._query)
            return self._apps.of(grant).connections.connect(grant, self._query, outbox)
        except AblyError as error:
            outbox.put({"action": int(Action.ERROR), "error": error.info()})
            outbox.end()
            return None

    async def _read(self, connection: Connection | None) -> None:
        while (message := await self._receive())["type"] == "websocket.receive":
            if connection is None:
                continue
            try:
                connection.receive(self._frame(message.get("text") or message.get("bytes") or b""))
            except AblyError as error:
                connection.disconnect(error)

    def _frame(self, raw: bytes | str) -> Frame:
        value = decode(raw, self._format)
        if not isinstance(value, dict):
            raise bad_request("a frame is an object")
        return value

    async def _write(self, outbox: Outbox) -> None:
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                for frame in outbox.take():
                    await self._send(self._message(frame))
                if outbox.is_ended:
                    await self._send({"type": "websocket.close", "code": 1000})
                    return
        except OSError:
            pass  # The client has left; the reader learns it too, and ends the connection.

    def _message(self, frame: Frame) -> ASGIMessage:
        raw = encode(frame, self._format)
        if self._format is Format.JSON:
            return {"type": "websocket.send", "text": raw.decode()}
        return {"type": "websocket.send", "bytes": raw}


async def _body(receive: Receive) -> bytes:
    body: bytes = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > _MAX_BODY_BYTES or not message.get("more_body", False):
            return body


async def _send_reply(send: Send, request: Request, reply: Reply) -> None:
    form = request.format
    body = reply.encoded(form)
    headers = {
        **({"Content-Type": form.media_type} if body else {}),
        "Content-Length": str(len(body)),
        **reply.headers,
        **cors(request.headers),
    }
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": raw})
    await send({"type": "http.response.body", "body": body})
