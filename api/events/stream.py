"""The response class of streams: takes over `send` and `receive` behind the head.

Litestar's own streaming responses hop threads, wake a task for each event and leave the
generator open when a stalled client goes. This one keeps the framework's guards, dependencies
and headers, and hands the connection to whoever writes to it.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Response
from litestar.response.base import ASGIResponse
from litestar.types import HTTPResponseStartEvent, Receive, Scope, Send

from api.events import sse
from api.events.connection import body

HEADERS = {
    "Content-Type": sse.MEDIA_TYPE,
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}

Serve = Callable[[Any, Any], Awaitable[None]]


class _TakenOver(ASGIResponse):
    """Sends the head and hands on the rest."""

    _should_set_content_length = False

    def __init__(self, serve: Serve) -> None:
        super().__init__(media_type=sse.MEDIA_TYPE, headers=HEADERS)
        self._serve = serve

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head: HTTPResponseStartEvent = {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.encode_headers(),
        }
        await send(head)
        # Each event would pass every middleware's wrapper, and all they look at is the head.
        await self._serve(receive, scope["state"].get("raw_send", send))


class EventStream(Response[None]):
    """A `text/event-stream` whose bytes `serve(receive, send)` writes, to the last one."""

    def __init__(self, serve: Serve) -> None:
        super().__init__(None, media_type=sse.MEDIA_TYPE)
        self._serve = serve

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIResponse:
        return _TakenOver(self._serve)


def brief(text: bytes) -> EventStream:
    """A stream that says one thing and ends."""

    async def serve(_: Any, send: Any) -> None:
        await send(body(text, more=False))

    return EventStream(serve)
