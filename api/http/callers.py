"""Finds out who calls, once for each request, before its parameters and its body are read."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from api.security.authenticator import Authenticator, Credentials
from api.security.cookies import SESSION_COOKIE
from api.security.principal import Principal

AnyRequest = Request[Any, Any, Any]
Connection = ASGIConnection[Any, Any, Any, Any]


@dataclass(frozen=True, slots=True)
class Callers:
    """Finds the caller of a request by its credentials."""

    authenticator: Authenticator

    async def authenticate(self, request: AnyRequest) -> Principal:
        """Return the caller. Raises what `Authenticator.authenticate` raises."""
        return await self.authenticator.authenticate(_credentials(request))

    async def guard(self, connection: Connection, handler: BaseRouteHandler) -> None:
        """Find the caller if the handler has a parameter `principal`, for `principal_of`.

        Litestar calls this guard before it reads parameters and body. So a caller who is not signed
        in gets 401, and is not told what is wrong with the rest of the request.
        """
        if "principal" in handler.parsed_fn_signature.parameters:
            request: AnyRequest = Request(connection.scope)
            connection.scope["state"]["principal"] = await self.authenticate(request)


async def principal_of(request: AnyRequest) -> Principal:
    """Return the caller that the guard found. Litestar passes it to handlers as `principal`."""
    known: Principal = request.scope["state"]["principal"]
    return known


def _credentials(request: AnyRequest) -> Credentials:
    # Read here and not by Litestar, which would keep its result: `check_query`, which comes later,
    # still corrects names in the query.
    query = dict(parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True))
    return Credentials(
        method=request.method,
        authorization=request.headers.get("authorization"),
        cookie=request.cookies.get(SESSION_COOKIE),
        ticket=query.get("ticket"),
        origin=request.headers.get("origin"),
        host=request.headers.get("host"),
        fetch_site=request.headers.get("sec-fetch-site"),
        query_names=frozenset(query),
        takes_ticket=bool(request.route_handler.opt.get("takes_ticket")),
    )
