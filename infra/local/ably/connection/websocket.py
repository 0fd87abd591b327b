"""One WebSocket of a Realtime client."""

from __future__ import annotations

import asyncio

from infra.local.ably.apps import Apps
from infra.local.ably.connection.connection import Connection
from infra.local.ably.connection.outbox import Outbox
from infra.local.ably.protocol import AblyError, Action, Format, Frame, checked, decode, encode
from infra.local.ably.rest.request import query_of
from infra.local.asgi import ASGIMessage, Receive, Send


class Socket:
    """Passes frames from a WebSocket to a connection, and those of its outbox back."""

    def __init__(self, apps: Apps, scope: ASGIMessage, receive: Receive, send: Send) -> None:
        self._apps = apps
        self._query = query_of(scope["query_string"])
        self._format = Format.of(self._query.get("format"))
        self._receive = receive
        self._send = send
        self._news = asyncio.Event()

    async def serve(self) -> None:
        await self._receive()
        # It is accepted before it may be refused: SDKs take a failed upgrade for a broken network.
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
            await writing

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
                raw = message.get("text") or message.get("bytes") or b""
                connection.receive(checked(decode(raw, self._format)))
            except AblyError as error:
                connection.disconnect(error)

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
            pass  # the client has left: `_read` learns it too, and ends the connection

    def _message(self, frame: Frame) -> ASGIMessage:
        raw = encode(frame, self._format)
        if self._format is Format.JSON:
            return {"type": "websocket.send", "text": raw.decode()}
        return {"type": "websocket.send", "bytes": raw}
