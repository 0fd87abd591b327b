"""Gives each request an id and one log line, around the whole application."""

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import uuid4

import structlog

from api.telemetry.logs import REQUEST_ID

HEADER = b"x-request-id"
UNKNOWN_ROUTE = "unknown"
# Probes ask for these every few seconds: they are logged at level DEBUG.
QUIET = frozenset({"/api/health", "/api/health/live", "/api/health/ready", "/api/metrics"})

_VALID_ID = re.compile(rb"[A-Za-z0-9_.~-]{8,64}")
log = structlog.get_logger()

Send = Callable[[Any], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]


class RequestLog:
    """ASGI middleware that gives each request an id, sends it back, and logs how the request ended.

    A valid `X-Request-Id` of the client is kept, any other is replaced. `scope["state"]` gets
    `request_id`, and `raw_send`, the `send` of the server: a response whose head went through the
    wrapped `send` may send its body by `raw_send`, past all wrappers. That saves most of the work
    that Python would do for each event of a held stream.
    """

    def __init__(
        self,
        app: App,
        *,
        monotonic: Callable[[], float],
        new_id: Callable[[], str] = lambda: uuid4().hex,
    ) -> None:
        self._app = app
        self._monotonic = monotonic
        self._new_id = new_id

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = self._monotonic()
        answer = _Answer(_given_id(scope["headers"]) or self._new_id(), send)
        state: dict[str, Any] = scope["state"]
        state["request_id"], state["raw_send"] = answer.request_id, send
        REQUEST_ID.set(answer.request_id)
        try:
            await self._app(scope, receive, answer.send)
        finally:
            # `send` refers to the scope: with a cycle, only the garbage collector would free both.
            state.pop("raw_send", None)
            _note(scope, answer.status, self._monotonic() - began)
            REQUEST_ID.set(None)


class _Answer:
    """Adds the request id to the head and notes the status. It lives as long as the answer."""

    __slots__ = ("_send", "request_id", "status")

    def __init__(self, request_id: str, send: Send) -> None:
        self._send = send
        self.request_id = request_id
        self.status = 0

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message["headers"], (HEADER, self.request_id.encode())]
        await self._send(message)


def _given_id(headers: Sequence[tuple[bytes, bytes]]) -> str | None:
    given = next((value for name, value in headers if name == HEADER), b"")
    return given.decode() if _VALID_ID.fullmatch(given) else None


def _note(scope: Any, status: int, lasted_s: float) -> None:
    # The template and not the path, which names users and topics and has any number of values.
    route = scope.get("path_template") or UNKNOWN_ROUTE
    say = log.debug if route in QUIET else log.info
    say(
        "request.ended",
        method=scope["method"],
        route=route,
        status=status,
        ms=round(lasted_s * 1000, 1),
    )
