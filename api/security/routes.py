"""The route `/api/dev/session`: signs in without an identity provider, in local mode only."""

from typing import Annotated, Any

from litestar import Controller, Request, Response, delete, post
from litestar.datastructures import Cookie
from litestar.params import JSONBody
from pydantic import Field

from api.payloads.models import Body, View, example
from api.problems import BadRequest, ForeignOrigin, Unauthorized
from api.security.cookies import SessionCookie
from api.security.tokens import SESSION_TTL_S
from api.security.wiring import Security
from api.settings import Settings

MAX_DEV_TTL_S = 86_400.0

AnyRequest = Request[Any, Any, Any]


class DevGrants(Body):
    """What the session may read and publish beside what every user may."""

    read: list[str] = Field(default=[], description="Topic patterns.")
    publish: list[str] = Field(default=[], description="Topic patterns.")


class DevSession(Body):
    """Request body of `POST /api/dev/session`: who to sign in as, and for how long."""

    model_config = example(user="alice", roles=["admin"])

    user: str = Field(description="The user's id, as a token's `sub`.", examples=["alice"])
    roles: list[str] = Field(default=[], examples=[["admin"]])
    grants: DevGrants = DevGrants()
    ttl_s: Annotated[float, Field(gt=0, le=MAX_DEV_TTL_S, allow_inf_nan=False)] = SESSION_TTL_S


class SessionView(View):
    """The session token, for clients that do not keep cookies."""

    token: str


def dev_session_controller(security: Security, settings: Settings) -> type[Controller]:
    """Build the controller of `/api/dev/session`. Raises RuntimeError outside of local mode."""
    # Anybody may sign in as anybody here, so a mistake in the wiring must stop the start.
    if not settings.is_local:
        raise RuntimeError("development sessions exist in local mode only")

    class DevSessionController(Controller):
        path = "/api/dev/session"
        tags = ("development",)

        @post(opt={"problems": (ForeignOrigin, Unauthorized)})
        async def sign_in(
            self, data: JSONBody[DevSession], request: AnyRequest
        ) -> Response[SessionView]:
            """Sign in as any user, in local mode: sets the session cookie, answers the token."""
            _require_own_page(security, request)
            token = _issue(security, data)
            cookie = SessionCookie(token, max_age_s=max(1, int(data.ttl_s)), secure=False)
            return Response(SessionView(token=token), cookies=[_litestar(cookie)])

        @delete(opt={"problems": (ForeignOrigin,)})
        async def sign_out(self, request: AnyRequest) -> Response[None]:
            """Remove the session cookie. The token itself is valid until it expires."""
            _require_own_page(security, request)
            cookie = SessionCookie("", max_age_s=0, secure=False)
            return Response(None, cookies=[_litestar(cookie)])

    return DevSessionController


def _require_own_page(security: Security, request: AnyRequest) -> None:
    # Any page the developer visits can post to localhost; scripts send no Origin.
    origin = request.headers.get("origin")
    if origin and not security.origins.allows(origin, host=request.headers.get("host")):
        raise ForeignOrigin


def _issue(security: Security, wanted: DevSession) -> str:
    try:
        return security.sessions.issue(
            wanted.user,
            roles=wanted.roles,
            grants=wanted.grants.model_dump(),
            ttl_s=wanted.ttl_s,
        )
    except Unauthorized as error:
        raise BadRequest(error.detail) from None


def _litestar(cookie: SessionCookie) -> Cookie:
    return Cookie(
        key=cookie.name,
        value=cookie.value,
        max_age=cookie.max_age_s,
        path=cookie.path,
        secure=cookie.secure,
        httponly=cookie.http_only,
        samesite=cookie.same_site,
    )
