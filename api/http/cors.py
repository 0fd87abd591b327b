"""CORS, which says what pages of other origins may do: the framework's, with two corrections."""

from collections.abc import Sequence
from typing import Any

from litestar import Response
from litestar.config.cors import CORSConfig
from litestar.datastructures import Headers, MutableScopeHeaders
from litestar.middleware._internal.cors import CORSMiddleware
from litestar.types import HTTPResponseStartEvent, Message, Receive, Scope, Send

from api.problem_json import answer_of
from api.problems import BadRequest

EXPOSED_HEADERS = [
    *("ETag", "Idempotency-Replayed", "Location", "Preference-Applied", "RateLimit"),
    *("RateLimit-Policy", "Retry-After", "X-Poll-After-Ms", "X-Request-Id", "X-Run-Id"),
    "X-Workflow-Run-Id",
]
ALLOWED_HEADERS = [
    *("Authorization", "Content-Type", "Idempotency-Key", "If-None-Match", "Last-Event-ID"),
    *("Prefer", "X-Request-Id"),
]


def cors_config(allowed_origins: Sequence[str]) -> CORSConfig | None:
    """Return the framework's settings for pages of these origins; None if there are no origins.

    `*` allows pages of all origins, but without cookies.
    """
    if not allowed_origins:
        return None
    return CORSConfig(
        allow_origins=list(allowed_origins),
        allow_methods=["GET", "POST", "DELETE", "OPTIONS"],
        allow_headers=ALLOWED_HEADERS,
        expose_headers=EXPOSED_HEADERS,
        # A wildcard with credentials would let every page act as its visitor.
        allow_credentials="*" not in allowed_origins,
        max_age=7200,
    )


class Cors(CORSMiddleware):
    """The framework's middleware for CORS, with two corrections.

    It adds `Origin` to the `Vary` of every answer, unless all origins are allowed. A preflight that
    is refused is answered with a problem document.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.config.is_allow_all_origins:
            await super().__call__(scope, receive, send)
        else:
            await super().__call__(scope, receive, _varying(send))

    def send_wrapper(self, send: Send, origin: str, has_cookie: bool) -> Send:  # noqa: FBT001
        """Return a `send` that adds the CORS headers and keeps the answer's own `Vary`.

        Litestar calls it for a request that has the header `Origin`.
        """
        vary: list[str] = []

        async def merge(message: Message) -> None:
            if message["type"] == "http.response.start" and vary:
                # The framework replaces `Vary`; a shared cache would then mix up answers.
                _add_vary(message, vary)
            await send(message)

        framework = super().send_wrapper(merge, origin, has_cookie)

        async def wrapped(message: Message) -> None:
            if message["type"] == "http.response.start":
                vary[:] = MutableScopeHeaders.from_message(message=message).getall("Vary", [])
            await framework(message)

        return wrapped

    def _create_preflight_response(self, origin: str, request_headers: Headers) -> Response[Any]:
        answer: Response[Any] = super()._create_preflight_response(origin, request_headers)
        if answer.status_code != BadRequest.status:
            return answer
        error = BadRequest(f"{answer.content}.")
        headers, body = answer_of(error)
        return Response(body, status_code=error.status, headers=headers | {"vary": "Origin"})


def _varying(send: Send) -> Send:
    """Add `Vary: Origin` also to answers for other origins and for requests without an origin.

    Otherwise a cache would give that answer to pages of allowed origins.
    https://fetch.spec.whatwg.org/#cors-protocol-and-http-caches
    """

    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            _add_vary(message, [], "Origin")
        await send(message)

    return wrapped


def _add_vary(message: HTTPResponseStartEvent, first: Sequence[str], *last: str) -> None:
    headers = MutableScopeHeaders.from_message(message=message)
    names = ", ".join([*first, *headers.getall("Vary", []), *last]).split(",")
    headers["Vary"] = ", ".join(dict.fromkeys(n.strip() for n in names if n.strip()))
