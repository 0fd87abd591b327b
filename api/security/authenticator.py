"""Finds out from the credentials of a request who calls."""

from dataclasses import dataclass

from api.problems import BadRequest, ForeignOrigin, Unauthorized
from api.security.origins import OriginPolicy
from api.security.principal import CredentialKind, Principal
from api.security.signing import INVALID_TOKEN, MAX_TOKEN_CHARS
from api.security.team_tokens import TeamTokens
from api.security.tickets import TicketService
from api.security.tokens import SessionTokens

SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
TOKEN_PARAMETERS = frozenset({"token", "access_token", "jwt", "id_token"})


@dataclass(frozen=True, slots=True)
class Credentials:
    """All of a request that authentication looks at. None means that the request does not have it.

    `method` is that of HTTP; `authorization`, `origin`, `host` and `fetch_site` are headers.
    `cookie` is the session token in the cookie, `ticket` that in the query, `query_names` all names
    in the query. `takes_ticket` says that the handler opens a stream and limits it to the ticket's
    topics.
    """

    method: str
    authorization: str | None = None
    cookie: str | None = None
    ticket: str | None = None
    origin: str | None = None
    host: str | None = None
    fetch_site: str | None = None
    query_names: frozenset[str] = frozenset()
    takes_ticket: bool = False


class Authenticator:
    """Finds the one credential of a request that counts, and verifies it.

    - A token in the query is always refused, because URLs are written to logs.
    - `Authorization` together with a ticket is refused: it is unclear who calls.
    - Either of them is preferred to the cookie, which browsers send unasked. When it is bad, the
      request is refused and the cookie is not tried: the caller asked to be somebody else.
    - A ticket counts only for opening a stream.
    - A write with a cookie must come from an allowed origin, or from our own page as the browser
      says. Without either it is refused.

    `team` verifies the tokens of an identity provider; None means that there is none.
    """

    def __init__(
        self,
        *,
        sessions: SessionTokens,
        tickets: TicketService,
        origins: OriginPolicy,
        team: TeamTokens | None = None,
    ) -> None:
        self._sessions = sessions
        self._tickets = tickets
        self._origins = origins
        self._team = team

    async def authenticate(self, given: Credentials) -> Principal:
        """Return the caller that the credentials prove.

        Raises Unauthorized, TokenExpired, TicketUsed, BadRequest and ForeignOrigin. Raises
        StoreUnavailable or KeysUnavailable when it cannot be decided now.
        """
        _refuse_confusion(given)
        if given.authorization is not None:
            return await self._verify(_bearer(given.authorization), CredentialKind.BEARER)
        if given.ticket is not None:
            return await self._by_ticket(given, given.ticket)
        if given.cookie is not None:
            return await self._by_cookie(given, given.cookie)
        raise Unauthorized

    async def _by_ticket(self, given: Credentials, ticket: str) -> Principal:
        if given.method != "GET" or not given.takes_ticket:
            raise Unauthorized("A ticket is only for opening a stream.")
        return await self._tickets.redeem(ticket)

    async def _by_cookie(self, given: Credentials, token: str) -> Principal:
        # Against cross-site request forgery: subdomains and old browsers pass SameSite=Lax.
        is_write = given.method not in SAFE_METHODS
        if is_write and not self._origins.allows(
            given.origin, host=given.host, fetch_site=given.fetch_site
        ):
            raise ForeignOrigin
        return await self._verify(token, CredentialKind.COOKIE)

    async def _verify(self, token: str, via: CredentialKind) -> Principal:
        if len(token) > MAX_TOKEN_CHARS:
            raise Unauthorized(INVALID_TOKEN)
        if self._team is None or self._sessions.is_mine(token):
            return self._sessions.verify(token, via=via)
        return await self._team.verify(token, via=via)


def _refuse_confusion(given: Credentials) -> None:
    if given.query_names & TOKEN_PARAMETERS:
        raise BadRequest(
            "Tokens never travel in a URL: send `Authorization: Bearer`, "
            "or get a ticket from POST /api/stream-tickets and send it as `ticket`."
        )
    if given.authorization is not None and given.ticket is not None:
        raise BadRequest("Send either `Authorization` or `ticket`, not both.")


def _bearer(authorization: str) -> str:
    scheme, _, token = authorization.strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized("Only `Authorization: Bearer <token>` is understood.")
    return token.strip()
