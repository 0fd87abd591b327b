"""The route `/api/chat/token`, to which `authUrl` of Ably's SDKs points.

Its errors have Ably's form, because its callers are Ably's SDKs. They compare the media type of an
error letter by letter, so it is `application/json` without parameters.
"""

from typing import Any
from urllib.parse import parse_qs

import structlog
from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap

from api.chat.ably.errors import NoRooms, TooManyRooms, ably_error
from api.chat.chat import Chat
from api.chat.http.models import TokenRequestView
from api.chat.http.parameters import Format, Rooms, Ttl
from api.chat.problems import Banned, ChatNotConfigured
from api.chat.tokens.issuer import JWT_MEDIA_TYPE
from api.chat.tokens.service import Wanted
from api.payloads.responses import json_response
from api.problems import ApiError, BadRequest, PayloadTooLarge, RateLimited, StoreUnavailable
from api.security.principal import Principal
from api.upstash import RedisError

FORM = "application/x-www-form-urlencoded"
MAX_TTL_DIGITS = 9
TOKEN = {
    "problems": (Banned, NoRooms, TooManyRooms, RateLimited, ChatNotConfigured),
    "error_form": "ably",
}

log = structlog.get_logger()
AnyRequest = Request[Any, Any, Any]


def _refused(_: AnyRequest, error: ApiError) -> Response[bytes]:
    status, body = ably_error(type(error), error.detail)
    headers = {"Cache-Control": "no-store", **error.headers}
    return json_response(body, headers, status=status)


def _store(request: AnyRequest, error: RedisError) -> Response[bytes]:
    log.warning("store.failed", error=type(error).__name__)
    return _refused(request, StoreUnavailable())


def _framework(request: AnyRequest, error: HTTPException) -> Response[bytes]:
    known = {413: PayloadTooLarge}
    if error.status_code >= ApiError.status:
        return _unexpected(request, error)
    return _refused(request, known.get(error.status_code, BadRequest)())


def _unexpected(request: AnyRequest, error: Exception) -> Response[bytes]:
    log.error("request.failed", exc_info=error)
    return _refused(request, ApiError())


HANDLERS: ExceptionHandlersMap = {
    ApiError: _refused,
    RedisError: _store,
    HTTPException: _framework,
    Exception: _unexpected,
}


class TokenController(Controller):
    """`/api/chat/token`: issues Ably tokens, by GET and by POST as Ably's SDKs can be set to."""

    path = "/api/chat/token"
    tags = ("chat",)
    exception_handlers = HANDLERS
    chat: Chat

    @get(name="issue_token", opt=TOKEN)
    async def issue(
        self,
        *,
        request: AnyRequest,
        principal: NamedDependency[Principal],
        rooms: Rooms = None,
        format_: Format = None,
        ttl: Ttl = None,
    ) -> Response[TokenRequestView]:
        """Issue an Ably token request for one's rooms, or a JWT for `Accept: application/jwt`."""
        wanted = _wanted(request, {"rooms": rooms, "format": format_, "ttl": ttl})
        return _answer(await self.chat.online.tokens.issue(principal, wanted))

    @post(name="issue_token_by_post", status_code=200, opt=TOKEN)
    async def issue_by_post(
        self,
        *,
        request: AnyRequest,
        principal: NamedDependency[Principal],
        rooms: Rooms = None,
        format_: Format = None,
        ttl: Ttl = None,
    ) -> Response[TokenRequestView]:
        """Issue the same as GET, for `authMethod: "POST"`, which sends parameters as a form."""
        form = await _form(request)
        given = {"rooms": rooms, "format": format_, "ttl": ttl}
        wanted = _wanted(request, form | {k: v for k, v in given.items() if v is not None})
        return _answer(await self.chat.online.tokens.issue(principal, wanted))


async def _form(request: AnyRequest) -> dict[str, str | None]:
    """Return the first value of each field; nothing for a body of another type than a form."""
    if request.content_type[0] != FORM:
        return {}
    fields = parse_qs((await request.body()).decode(errors="replace"))
    return {name: values[0] for name, values in fields.items()}


def _wanted(request: AnyRequest, given: dict[str, str | None]) -> Wanted:
    """Read the parameters that we know. SDKs send more: clientId, capability, timestamp, rnd."""
    rooms, ttl = given.get("rooms"), given.get("ttl") or ""
    accepts_jwt = JWT_MEDIA_TYPE in request.headers.get("accept", "")
    is_number = ttl.isascii() and ttl.isdecimal() and len(ttl) <= MAX_TTL_DIGITS
    return Wanted(
        rooms=frozenset(filter(None, rooms.split(","))) if rooms else None,
        ttl_ms=int(ttl) if is_number else None,
        is_jwt=accepts_jwt or given.get("format") == "jwt",
    )


def _answer(token: Any) -> Response[Any]:
    headers = {"Cache-Control": "no-store", "Vary": "Accept, Authorization, Cookie"}
    if isinstance(token, str):
        return Response(token.encode(), media_type=JWT_MEDIA_TYPE, headers=headers)
    return json_response(token, headers)
