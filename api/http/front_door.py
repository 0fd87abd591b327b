"""Middleware that refuses requests past the CDN or for another host, and merges headers."""

import re
from collections.abc import Awaitable, Callable, Iterable
from hmac import compare_digest
from typing import Any

from api.problem_json import answer_of
from api.problems import ApiError, Forbidden
from api.telemetry.requests import QUIET

ORIGIN_SECRET = b"x-origin-secret"
COOKIE = b"cookie"
# 127.0.0.0/8, ::1, and the names that RFC 6761 gives to loopback; with or without a port.
_LOOPBACK = re.compile(
    rb"(127(\.\d{1,3}){3}|\[::1\]|localhost|[a-z0-9.-]+\.localhost)(:\d{1,5})?", re.IGNORECASE
)

Headers = list[tuple[bytes, bytes]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]


class ForeignHost(Forbidden):
    """Raised in local mode when the `Host` of a request is not this machine."""

    code = "foreign-host"
    title = "In local mode only this machine is served"
    remediation = "Use http://127.0.0.1 or http://localhost; other names need another mode."


class DirectAccess(Forbidden):
    """Raised when a request lacks the CDN's secret header, so it did not come through the CDN."""

    code = "direct-access"
    title = "This server answers only what comes through the CDN in front of it"
    remediation = "Use the public address of the service."


class FrontDoor:
    """ASGI middleware that refuses some requests, and makes one line of each repeated header.

    With `origin_secret` a request must carry it as `X-Origin-Secret`, which the CDN adds. A client
    that could call past the CDN could write the entries of `X-Forwarded-For` that we believe.
    Health and metrics are exempt, because probes do not come through the CDN. None means no check.

    With `loopback_only` the `Host` must be this machine. Otherwise a web page whose owner points
    its DNS name to 127.0.0.1 would have our origin in the browser (DNS rebinding).
    """

    def __init__(self, app: App, *, origin_secret: str | None, loopback_only: bool) -> None:
        self._app = app
        self._secret = origin_secret.encode() if origin_secret else None
        self._loopback_only = loopback_only

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["headers"] = combined(scope["headers"])
        if (error := self._refusal(scope)) is None:
            await self._app(scope, receive, send)
        else:
            await _answer(send, error, ref=scope["state"].get("request_id"))

    def _refusal(self, scope: Any) -> ApiError | None:
        given = dict(scope["headers"])
        if self._loopback_only and not _LOOPBACK.fullmatch(given.get(b"host", b"")):
            return ForeignHost()
        if self._secret is None or scope["path"] in QUIET:
            return None
        if compare_digest(given.get(ORIGIN_SECRET, b""), self._secret):
            return None
        return DirectAccess()


def combined(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Return the headers with the lines of one name put together (RFC 9110, section 5.3).

    A reader that looks at one line of several would take a client's own line for the one that a
    proxy added below it. Cookies have a separator of their own. White space around a value is no
    part of it (section 5.5), but the parser does not remove the white space after it.
    """
    lines: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        lines.setdefault(name.lower(), []).append(value.strip(b" \t"))
    return [
        (name, (b"; " if name == COOKIE else b", ").join(values)) for name, values in lines.items()
    ]


async def _answer(send: Send, error: ApiError, *, ref: str | None) -> None:
    fields, body = answer_of(error, ref=ref)
    headers = [(name.encode(), value.encode()) for name, value in fields.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
