"""One id and one line for each request, and nothing in the way of a held stream."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

import pytest
from structlog.testing import capture_logs

from api.events import EventStream
from api.telemetry.logs import REQUEST_ID
from api.telemetry.requests import RequestLog

HEAD = {"type": "http.response.start", "status": 201, "headers": [(b"etag", b'"1"')]}
BODY = {"type": "http.response.body", "body": b"x", "more_body": False}
App = Callable[[Any, Any, Any], Awaitable[None]]


class Exchange:
    """One request to an application behind the log; `sent` is what reached the server."""

    def __init__(self, *headers: tuple[bytes, bytes], template: str | None = "/api/{x}") -> None:
        self.sent: list[Any] = []
        self.scope: dict[str, Any] = {
            "type": "http",
            "method": "GET",
            "headers": headers,
            "state": {},
        }
        if template:
            self.scope["path_template"] = template

    async def through(self, app: App) -> None:
        log = RequestLog(app, monotonic=count().__next__, new_id=lambda: "made-up-id")
        await log(self.scope, self.receive, self.send)

    async def receive(self) -> Any:
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    @property
    def id(self) -> bytes:
        found: bytes = dict(self.sent[0]["headers"])[b"x-request-id"]
        return found


async def answer(_: Any, __: Any, send: Any) -> None:
    await send(dict(HEAD))
    await send(dict(BODY))


async def test_a_request_gets_an_id_and_a_line() -> None:
    exchange = Exchange()

    with capture_logs() as lines:
        await exchange.through(answer)

    assert exchange.id == b"made-up-id"
    assert exchange.scope["state"]["request_id"] == "made-up-id"
    assert lines == [
        {
            "event": "request.ended",
            "log_level": "info",
            "method": "GET",
            "route": "/api/{x}",
            "status": 201,
            "ms": 1000,
        }
    ]


async def test_a_valid_id_is_taken_over() -> None:
    exchange = Exchange((b"x-request-id", b"abc-123_DEF"))

    await exchange.through(answer)

    assert exchange.id == b"abc-123_DEF"


@pytest.mark.parametrize(
    "given", [b"", b"short", b"a" * 65, b"a\nb_long_enough", b"long enough \xe9"]
)
async def test_any_other_id_is_replaced(given: bytes) -> None:
    exchange = Exchange((b"x-request-id", given))

    await exchange.through(answer)

    assert exchange.id == b"made-up-id"


async def test_the_id_is_bound_while_the_request_lasts() -> None:
    seen: list[str | None] = []

    async def app(_: Any, __: Any, ___: Any) -> None:
        seen.append(REQUEST_ID.get())

    await Exchange().through(app)

    assert (seen, REQUEST_ID.get()) == (["made-up-id"], None)


async def test_a_request_that_fails_has_its_line_too() -> None:
    async def broken(_: Any, __: Any, ___: Any) -> None:
        raise RuntimeError

    exchange = Exchange(template=None)
    with capture_logs() as lines, pytest.raises(RuntimeError):
        await exchange.through(broken)

    assert (lines[0]["route"], lines[0]["status"]) == ("unknown", 0)


async def test_probes_are_quiet() -> None:
    with capture_logs() as lines:
        await Exchange(template="/api/health").through(answer)

    assert lines[0]["log_level"] == "debug"


async def test_other_protocols_pass() -> None:
    seen = []

    async def app(scope: Any, _: Any, __: Any) -> None:
        seen.append(scope["type"])

    await RequestLog(app, monotonic=float)({"type": "lifespan"}, None, None)

    assert seen == ["lifespan"]


async def test_the_body_of_a_stream_passes_no_wrapper() -> None:
    exchange, wrapped = Exchange(), []

    async def framework(scope: Any, receive: Any, send: Any) -> None:
        async def wrapper(message: Any) -> None:
            wrapped.append(message["type"])
            await send(message)

        async def serve(_: Any, send: Any) -> None:
            await send(dict(BODY))

        await EventStream(serve).to_asgi_response()(scope, receive, wrapper)

    await exchange.through(framework)

    assert [message["type"] for message in exchange.sent] == [HEAD["type"], BODY["type"]]
    assert wrapped == [HEAD["type"]]
    assert exchange.id == b"made-up-id"


async def test_nothing_of_the_connection_is_kept() -> None:
    exchange = Exchange()

    await exchange.through(answer)

    assert exchange.scope["state"] == {"request_id": "made-up-id"}
