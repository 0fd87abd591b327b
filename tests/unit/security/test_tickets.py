"""What a stream ticket says. That it is used once is tested against the store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.problems import BadRequest, Forbidden, StoreUnavailable, TokenExpired, Unauthorized
from api.security.grants import Access
from api.security.keys import KeyPurpose, derive_key
from api.security.signing import Signer
from api.security.tickets import AUDIENCE, TicketService
from api.telemetry.meter import CommandMeter
from api.upstash import UpstashClient
from tests.unit.security.support import NOW, SECRET, FakeClock, counting_ids, principal

SIGNER = Signer(derive_key(SECRET, KeyPurpose.TICKET), kind="ticket+jwt")


@pytest.fixture
def meter() -> CommandMeter:
    return CommandMeter()


@pytest.fixture
async def redis(meter: CommandMeter) -> AsyncIterator[UpstashClient]:
    """Nobody answers here."""
    client = UpstashClient("http://127.0.0.1:1", "t", timeout_s=1, meter=meter)
    yield client
    await client.close()


@pytest.fixture
def tickets(redis: UpstashClient) -> TicketService:
    return TicketService(
        SECRET, redis=redis, access=Access(), clock=FakeClock(), new_id=counting_ids("ticket")
    )


async def test_a_ticket_lasts_a_minute(tickets: TicketService):
    """Long enough to connect."""
    ticket = await tickets.issue(principal(), ["public:a"])

    assert ticket.expires_at == NOW + 60


async def test_a_ticket_never_outlives_its_token(tickets: TicketService):
    """A token with ten seconds left gives a ticket of ten seconds."""
    ticket = await tickets.issue(principal(expires_at=NOW + 10), ["public:a"])

    assert ticket.expires_at == NOW + 10


async def test_a_ticket_is_only_for_topics_its_user_may_read(tickets: TicketService):
    """One that is not granted refuses all."""
    with pytest.raises(Forbidden):
        await tickets.issue(principal(), ["public:a", "user:bob:inbox"])


async def test_a_ticket_names_topics(tickets: TicketService):
    """A ticket for nothing would be one for anything."""
    with pytest.raises(BadRequest, match="at least one"):
        await tickets.issue(principal(), [])


async def test_a_ticket_must_fit_into_a_url(tickets: TicketService):
    """The usual fifty topics do, fifty of the longest do not."""
    usual = [f"user:alice:notifications-{n:02}" for n in range(50)]
    longest = [f"public:{'a' * 64}:{'b' * 64}:{n:064}" for n in range(50)]

    assert (await tickets.issue(principal(), usual)).token
    with pytest.raises(BadRequest, match="too many or too long"):
        await tickets.issue(principal(), longest)


async def test_a_ticket_carries_no_grant_that_its_topics_do_not_need(tickets: TicketService):
    """What leaks with a URL is as little as possible."""
    who = principal(read=["job:*", "room:**"], publish=["room:**"], roles=["editor"])
    ticket = await tickets.issue(who, ["job:1", "public:a", "job:1"])

    claims = SIGNER.claims(ticket.token)

    assert claims["grants"] == {"read": ["job:*"]}
    assert claims["topics"] == ["job:1", "public:a"]
    assert claims["roles"] == ["editor"]
    assert claims["until"] == NOW + 3600


FORGED: dict[str, dict[str, Any]] = {
    "another audience": {"aud": "millrace:session"},
    "no id": {"jti": None},
    "an id of another shape": {"jti": 7},
    "no topics": {"topics": None},
    "topics of another shape": {"topics": "public:a"},
    "an end of another shape": {"until": "never"},
    "no expiry": {"exp": None},
    "a user that forges topics": {"sub": "*"},
}


@pytest.mark.parametrize("name", FORGED)
async def test_a_malformed_ticket_is_refused_and_costs_nothing(
    tickets: TicketService, meter: CommandMeter, name: str
):
    """Even with our signature; Redis is not asked."""
    good = SIGNER.claims((await tickets.issue(principal(), ["public:a"])).token)

    with pytest.raises(Unauthorized):
        await tickets.redeem(SIGNER.sign({**good, **FORGED[name]}))

    assert meter.billed == 0


async def test_an_expired_ticket_is_refused_and_costs_nothing(
    tickets: TicketService, meter: CommandMeter
):
    """The clock decides before the store."""
    claims = {"aud": AUDIENCE, "sub": "alice", "jti": "x", "topics": ["public:a"], "exp": NOW}

    with pytest.raises(TokenExpired):
        await tickets.redeem(SIGNER.sign(claims))

    assert meter.billed == 0


async def test_without_the_store_no_ticket_is_accepted(tickets: TicketService):
    """Closed: otherwise a ticket from a log could be used again."""
    ticket = await tickets.issue(principal(), ["public:a"])

    with pytest.raises(StoreUnavailable):
        await tickets.redeem(ticket.token)
