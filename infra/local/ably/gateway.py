"""The ASGI application: it turns requests into values, and replies into bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from infra.local.ably.apps import Apps
from infra.local.ably.connection.websocket import Socket
from infra.local.ably.control import PREFIX, Control, Faults
from infra.local.ably.protocol import AblyError
from infra.local.ably.rest.event_stream import PATHS, EventStream
from infra.local.ably.rest.request import Reply, Request
from infra.local.ably.rest.routes import Rest
from infra.local.asgi import ASGIMessage, Receive, Send

_MAX_BODY_BYTES = 1024 * 1024

_METHODS = "GET, POST, PUT, PATCH, DELETE, OPTIONS"
_EXPOSED = "Link, Transfer-Encoding, Content-Length, X-Ably-ErrorCode, X-Ably-ErrorMessage"


def cors(headers: Mapping[str, str]) -> dict[str, str]:
    """The CORS headers for a request. They name its Origin: with credentials `*` is not allowed."""
    origin = headers.get("origin")
    if origin is None:
        return {}
    allowed = {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Expose-Headers": _EXPOSED,
        "Vary": "Origin",
    }
    if (wanted := headers.get("access-control-request-headers")) is not None:
        allowed["Access-Control-Allow-Headers"] = wanted
        allowed["Access-Control-Allow-Methods"] = _METHODS
    return allowed


class Gateway:
    """Answers HTTP requests and WebSockets."""

    def __init__(self, apps: Apps, rest: Rest, control: Control, faults: Faults) -> None:
        self._apps = apps
        self._rest = rest
        self._control = control
        self._faults = faults

    async def __call__(self, scope: ASGIMessage, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await self._http(scope, receive, send)
        elif self._faults.refuse_sockets:
            await send({"type": "websocket.close"})
        else:
            # On any path: ably-python appends its own to what it takes for the host.
            await Socket(self._apps, scope, receive, send).serve()

    async def _http(self, scope: ASGIMessage, receive: Receive, send: Send) -> None:
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        body = await _body(receive)
        path, query = scope["raw_path"], scope["query_string"]
        request = Request.of(scope["method"], path, query, headers, body)
        reply = self._reply(request)
        if isinstance(reply, EventStream):
            await _stream(reply, request, receive, send)
            return
        if request.query.get("envelope") == "json":
            reply = reply.enveloped()
        payload = reply.encoded(request.format)
        content = {"Content-Type": request.format.media_type} if payload else {}
        shown = {**content, "Content-Length": str(len(payload)), **reply.headers}
        await _start(send, request, reply.status, shown)
        await send({"type": "http.response.body", "body": payload})

    def _reply(self, request: Request) -> Reply | EventStream:
        if request.method == "OPTIONS":
            return Reply(204, None)
        try:
            if request.path[:1] == (PREFIX,):
                return self._control.answer(request)
            self._faults.strike()
            if request.path in PATHS:
                grant = self._apps.credentials.of_request(request.headers, request.query)
                return EventStream(self._apps.of(grant), grant, request)
            return self._rest.answer(request)
        except AblyError as error:
            return Reply.of_error(error)


async def _stream(stream: EventStream, request: Request, receive: Receive, send: Send) -> None:
    async def leave() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        stream.end()

    leaving = asyncio.create_task(leave())
    news = asyncio.Event()
    stream.on_news(news.set)
    headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
    try:
        await _start(send, request, 200, headers)
        while not stream.is_ended:
            await news.wait()
            news.clear()
            body = stream.take()
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        leaving.cancel()
        stream.end()


async def _start(send: Send, request: Request, status: int, headers: dict[str, str]) -> None:
    shown = headers | cors(request.headers)
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in shown.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})


async def _body(receive: Receive) -> bytes:
    body: bytes = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > _MAX_BODY_BYTES or not message.get("more_body", False):
            return body
