"""A ticket is used once, against the store."""

from __future__ import annotations

import asyncio

import pytest

from api.problems import StoreUnavailable, TicketUsed
from api.security.authenticator import Authenticator, Credentials
from api.security.grants import Access
from api.security.origins import OriginPolicy
from api.security.principal import CredentialKind
from api.security.tickets import TicketService
from api.telemetry.meter import CommandMeter
from api.upstash import UpstashClient
from tests.support.upstash_server import UpstashServer
from tests.unit.security.support import (
    NOW,
    SECRET,
    FakeClock,
    counting_ids,
    principal,
    session_tokens,
)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def tickets(redis: UpstashClient, clock: FakeClock) -> TicketService:
    return TicketService(
        SECRET, redis=redis, access=Access(), clock=clock, new_id=counting_ids("ticket")
    )


async def test_a_ticket_carries_its_user_to_the_stream(
    tickets: TicketService, redis: UpstashClient
):
    """Roles, needed grants and the end of the original token go along."""
    who = principal(roles=["editor"], read=["job:*", "room:*"], expires_at=NOW + 600)
    ticket = await tickets.issue(who, ["job:1", "public:a"])
    authenticator = Authenticator(
        sessions=session_tokens(), tickets=tickets, origins=OriginPolicy([], https_only=True)
    )

    there = await authenticator.authenticate(
        Credentials("GET", takes_ticket=True, ticket=ticket.token, cookie="another user's")
    )

    assert (there.id, there.roles, there.via) == ("alice", who.roles, CredentialKind.TICKET)
    assert there.expires_at == NOW + 600
    assert there.ticket_topics == frozenset({"job:1", "public:a"})
    assert await Access().can_read(there, "job:1")
    assert not await Access().can_read(there, "job:2")


async def test_a_token_without_end_gives_a_stream_without_end(tickets: TicketService):
    """The ticket's own minute is for connecting only."""
    ticket = await tickets.issue(principal(expires_at=None), ["public:a"])

    assert (await tickets.redeem(ticket.token)).expires_at is None


async def test_a_ticket_is_used_once(tickets: TicketService):
    """The second use is told apart from a forgery."""
    ticket = await tickets.issue(principal(), ["public:a"])

    await tickets.redeem(ticket.token)

    with pytest.raises(TicketUsed):
        await tickets.redeem(ticket.token)


async def test_of_20_concurrent_uses_one_succeeds(tickets: TicketService):
    """The store decides, not the process."""
    ticket = await tickets.issue(principal(), ["public:a"])

    outcomes = await asyncio.gather(
        *(tickets.redeem(ticket.token) for _ in range(20)), return_exceptions=True
    )

    assert sum(not isinstance(outcome, Exception) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, TicketUsed) for outcome in outcomes) == 19


async def test_redeeming_costs_one_command(
    tickets: TicketService, upstash: UpstashServer, meter: CommandMeter
):
    """And issuing costs none."""
    ticket = await tickets.issue(principal(), ["public:a"])
    assert upstash.meter().billed == 0

    await tickets.redeem(ticket.token)

    assert upstash.meter().commands == {"SET": 1}
    assert meter.billed == 1


async def test_the_mark_outlives_the_ticket_and_then_goes(
    tickets: TicketService, redis: UpstashClient
):
    """By more than clocks differ, and without leaving garbage."""
    ticket = await tickets.issue(principal(), ["public:a"])
    await tickets.redeem(ticket.token)

    left_s = await redis.read("TTL", "millrace:tickets:ticket-1")

    assert 120 < left_s <= 180


async def test_a_lost_answer_never_lets_a_ticket_pass_twice(
    tickets: TicketService, upstash: UpstashServer
):
    """The caller needs a new ticket then, but nobody can use this one."""
    ticket = await tickets.issue(principal(), ["public:a"])
    upstash.faults(lose_replies=1)

    with pytest.raises(StoreUnavailable):
        await tickets.redeem(ticket.token)
    with pytest.raises(TicketUsed):
        await tickets.redeem(ticket.token)
