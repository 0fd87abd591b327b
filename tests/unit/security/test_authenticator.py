"""Which credential counts, and which combinations are refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from api.problems import BadRequest, ForeignOrigin, StoreUnavailable, TokenExpired, Unauthorized
from api.security.authenticator import Authenticator, Credentials
from api.security.grants import Access
from api.security.jwks import JwksKeys
from api.security.origins import OriginPolicy
from api.security.principal import CredentialKind
from api.security.signing import MAX_TOKEN_CHARS
from api.security.team_tokens import TeamTokens
from api.security.tickets import TicketService
from api.security.tokens import SessionTokens
from api.telemetry.meter import CommandMeter
from api.upstash import UpstashClient
from tests.unit.security.jwks_server import JwksServer, rs256, rsa_jwk
from tests.unit.security.support import (
    NOW,
    SECRET,
    FakeClock,
    counting_ids,
    principal,
    session_tokens,
)

READ = Credentials("GET", takes_ticket=True)
WRITE = Credentials("POST", host="api.example.com")
PAGE = "https://app.example.com"


class Gate:
    """An authenticator and what is needed to get past it. Redis is not there."""

    def __init__(self, redis: UpstashClient, team: TeamTokens | None = None) -> None:
        self.clock = FakeClock()
        self.sessions: SessionTokens = session_tokens(self.clock)
        self.tickets = TicketService(
            SECRET, redis=redis, access=Access(), clock=self.clock, new_id=counting_ids()
        )
        self.authenticator = Authenticator(
            sessions=self.sessions,
            tickets=self.tickets,
            origins=OriginPolicy([PAGE], https_only=True),
            team=team,
        )
        self.token = self.sessions.issue("alice")
        self.other = self.sessions.issue("bob")

    async def user(self, base: Credentials, **given: object) -> tuple[str, CredentialKind]:
        who = await self.authenticator.authenticate(replace(base, **given))  # type: ignore[arg-type]
        return who.id, who.via


@pytest.fixture
async def redis() -> AsyncIterator[UpstashClient]:
    client = UpstashClient("http://127.0.0.1:1", "t", timeout_s=1, meter=CommandMeter())
    yield client
    await client.close()


@pytest.fixture
def gate(redis: UpstashClient) -> Gate:
    return Gate(redis)


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer ", "BEARER   ", "  Bearer "])
async def test_a_bearer_token_counts(gate: Gate, scheme: str):
    """The scheme is not case-sensitive."""
    who = await gate.user(WRITE, authorization=f"{scheme}{gate.token}")

    assert who == ("alice", CredentialKind.BEARER)


async def test_the_cookie_counts_for_reading_from_anywhere(gate: Gate):
    """Reads need no Origin: what other origins may see is up to CORS."""
    assert await gate.user(READ, cookie=gate.token) == ("alice", CredentialKind.COOKIE)
    assert await gate.user(READ, cookie=gate.token, origin="https://evil.example")


async def test_the_bearer_token_wins_over_the_cookie(gate: Gate):
    """The cookie comes unasked."""
    given = {"authorization": f"Bearer {gate.token}", "cookie": gate.other}

    assert await gate.user(READ, **given) == ("alice", CredentialKind.BEARER)
    assert await gate.user(WRITE, **given, origin="https://evil.example")


@pytest.mark.parametrize(
    "authorization", ["Bearer bad", "Bearer", "Bearer ", "", "Basic YTpi", "Token abc", "bad"]
)
async def test_a_bad_authorization_never_falls_back_to_the_cookie(gate: Gate, authorization: str):
    """Who asks to be somebody else is not silently served as the cookie's user."""
    with pytest.raises(Unauthorized):
        await gate.user(READ, authorization=authorization, cookie=gate.token)


async def test_nothing_is_nobody(gate: Gate):
    """There are no anonymous callers."""
    with pytest.raises(Unauthorized) as caught:
        await gate.user(READ)

    assert caught.value.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "QUERY", "post"])
@pytest.mark.parametrize(
    "origin", [None, "", "null", "https://evil.example", "http://app.example.com"]
)
async def test_a_write_by_cookie_needs_an_allowed_origin(
    gate: Gate, method: str, origin: str | None
):
    """Without Origin too, and for every method that is not known as safe."""
    with pytest.raises(ForeignOrigin):
        await gate.user(WRITE, method=method, cookie=gate.token, origin=origin)


@pytest.mark.parametrize("origin", [PAGE, "https://api.example.com"])
async def test_a_write_by_cookie_from_our_pages_counts(gate: Gate, origin: str):
    """From a listed origin or from the host itself."""
    assert await gate.user(WRITE, cookie=gate.token, origin=origin)


@pytest.mark.parametrize("name", ["token", "access_token", "jwt", "id_token"])
async def test_a_token_in_the_query_is_refused_and_the_ticket_named(gate: Gate, name: str):
    """Even beside a good credential: it would stay in logs and histories."""
    given = {"authorization": f"Bearer {gate.token}", "query_names": frozenset({"topic", name})}

    with pytest.raises(BadRequest, match="stream-tickets"):
        await gate.user(READ, **given)


async def test_authorization_and_a_ticket_at_once_are_refused(gate: Gate):
    """It would be unclear who calls."""
    with pytest.raises(BadRequest, match="not both"):
        await gate.user(READ, authorization=f"Bearer {gate.token}", ticket="x")


async def test_a_bad_ticket_never_falls_back_to_the_cookie(gate: Gate):
    """Nor does it reach Redis."""
    for ticket in ("", "bad", gate.token):
        with pytest.raises(Unauthorized):
            await gate.user(READ, ticket=ticket, cookie=gate.token)


@pytest.mark.parametrize(
    ("method", "takes_ticket"), [("POST", True), ("HEAD", True), ("GET", False)]
)
async def test_a_ticket_is_for_opening_a_stream_alone(gate: Gate, method: str, takes_ticket: bool):
    """Anywhere else it is refused before it is used up."""
    ticket = await gate.tickets.issue(principal(), ["public:a"])

    with pytest.raises(Unauthorized, match="only for opening a stream"):
        await gate.user(READ, method=method, takes_ticket=takes_ticket, ticket=ticket.token)


async def test_a_ticket_is_refused_while_redis_does_not_answer(gate: Gate):
    """Closed, not open; and temporary, not unauthorized."""
    ticket = await gate.tickets.issue(principal(), ["public:a"])

    with pytest.raises(StoreUnavailable):
        await gate.user(READ, ticket=ticket.token)


async def test_a_ticket_is_no_token_and_a_token_no_ticket(gate: Gate):
    """Each kind has its own key."""
    ticket = await gate.tickets.issue(principal(), ["public:a"])

    for given in ({"authorization": f"Bearer {ticket.token}"}, {"cookie": ticket.token}):
        with pytest.raises(Unauthorized):
            await gate.user(READ, **given)


async def test_an_expired_session_is_told_apart(gate: Gate):
    """As bearer and as cookie."""
    gate.clock.advance(3600)

    with pytest.raises(TokenExpired):
        await gate.user(READ, authorization=f"Bearer {gate.token}")
    with pytest.raises(TokenExpired):
        await gate.user(READ, cookie=gate.token)


async def test_an_endless_token_is_refused_at_once(gate: Gate):
    """Before anything parses it."""
    with pytest.raises(Unauthorized):
        await gate.user(READ, authorization="Bearer " + "a" * (MAX_TOKEN_CHARS + 1))


async def test_team_tokens_count_beside_sessions(redis: UpstashClient, jwks: JwksServer):
    """Sessions never cost a look at the team's keys."""
    jwks.keys = [rsa_jwk("a")]
    clock = FakeClock()
    keys = JwksKeys(jwks.url, clock=clock)
    gate = Gate(redis, TeamTokens(keys, issuer=None, binding=None, clock=clock))

    assert await gate.user(READ, cookie=gate.token) == ("alice", CredentialKind.COOKIE)
    assert jwks.hits == 0
    team_token = rs256("a", {"sub": "carol", "exp": NOW + 60})
    assert await gate.user(READ, cookie=team_token) == ("carol", CredentialKind.COOKIE)


async def test_an_endless_team_token_is_refused_too(redis: UpstashClient, jwks: JwksServer):
    """However well it is signed; not even the keys are looked at."""
    clock = FakeClock()
    keys = JwksKeys(jwks.url, clock=clock)
    gate = Gate(redis, TeamTokens(keys, issuer=None, binding=None, clock=clock))
    endless = rs256("a", {"sub": "carol", "exp": NOW + 60, "x": "a" * MAX_TOKEN_CHARS})

    with pytest.raises(Unauthorized):
        await gate.user(READ, authorization=f"Bearer {endless}")
    assert jwks.hits == 0


async def test_without_a_jwks_url_team_tokens_are_refused(gate: Gate):
    """Nothing but our own key is trusted then."""
    with pytest.raises(Unauthorized):
        await gate.user(READ, authorization="Bearer " + rs256("a", {"sub": "a", "exp": NOW + 60}))
