"""The response class of streams: takes over `send` and `receive` behind the head.

Litestar's own streaming responses hop threads, wake a task for each event and leave the
generator open when a stalled client goes. This one keeps the framework's guards, dependencies
and headers, and hands the connection to whoever writes to it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from litestar import Response
from litestar.response.base import ASGIResponse
from litestar.types import HTTPResponseStartEvent, Receive, Scope, Send

from api.events.delivery import sse
from api.events.delivery.connection import body

HEADERS = {
    "Content-Type": sse.MEDIA_TYPE,
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}

Serve = Callable[[Any, Any], Awaitable[None]]
OnEnd = Callable[[], Coroutine[Any, Any, None]]


async def _nothing() -> None:
    pass


class _TakenOver(ASGIResponse):
    """Sends the head and hands on the rest."""

    _should_set_content_length = False

    def __init__(self, serve: Serve, on_end: OnEnd) -> None:
        super().__init__(media_type=sse.MEDIA_TYPE, headers=HEADERS)
        self._serve = serve
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head: HTTPResponseStartEvent = {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.encode_headers(),
        }
        try:
            await send(head)
            # Each event would pass every middleware's wrapper, which look at the head only.
            await self._serve(receive, scope["state"].get("raw_send", send))
        finally:
            await asyncio.shield(self._on_end())


class EventStream(Response[None]):
    """A `text/event-stream` whose bytes `serve(receive, send)` writes, to the last one.

    `on_end` is awaited however it ends, also when it never really began.
    """

    def __init__(self, serve: Serve, *, on_end: OnEnd = _nothing) -> None:
        super().__init__(None, media_type=sse.MEDIA_TYPE)
        self._serve = serve
        self._on_end = on_end

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIResponse:
        return _TakenOver(self._serve, self._on_end)


def brief(text: bytes) -> EventStream:
    """A stream that says one thing and ends."""

    async def serve(_: Any, send: Any) -> None:
        await send(body(text, more=False))

    return EventStream(serve)
