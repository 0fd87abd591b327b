"""Who may read a source, and what an unknown one is answered."""

from __future__ import annotations

from typing import Any

import pytest

from tests.integration.http.conftest import client_of
from tests.integration.http.rows import assert_problem
from tests.integration.relay.conftest import Start, source
from tests.support.sse_upstream import UpstreamProcess

JSON = {"Accept": "application/json"}


@pytest.fixture
async def bearer(start: Start, upstream: UpstreamProcess) -> Any:
    """The status of a poll of `name` by bob with these grants."""
    sources = {"open": source(upstream, everyone=True), "prices": source(upstream)}
    instance = await start(sources=sources)

    async def ask(name: str, *, roles: Any = (), read: Any = ()) -> Any:
        token = instance.services.security.sessions.issue(
            "bob", roles=list(roles), grants={"read": list(read)}, ttl_s=60
        )
        async with client_of(instance) as client:
            headers = {**JSON, "Authorization": f"Bearer {token}"}
            return await client.get(f"/api/relay/{name}", headers=headers)

    return ask


@pytest.mark.parametrize(
    ("name", "who", "status"),
    [
        ("open", {}, 200),
        ("prices", {}, 403),
        ("prices", {"read": ["relay:prices"]}, 200),
        ("prices", {"read": ["relay:*"]}, 200),
        ("prices", {"read": ["relay:other"]}, 403),
        ("prices", {"roles": ["admin"]}, 200),
        ("unknown", {}, 403),
    ],
)
async def test_a_grant_or_a_source_for_everyone_lets_in(
    bearer: Any, name: str, who: dict[str, Any], status: int
):
    """And a refusal is the same for a source that there is and one that there is not."""
    assert (await bearer(name, **who)).status_code == status


async def test_an_unknown_source_is_named_to_those_who_may_know(bearer: Any):
    """A typing error should not look like a missing grant."""
    assert_problem(await bearer("unknown", roles=["admin"]), 404, "unknown-source")


async def test_nobody_reads_without_signing_in(start: Start):
    """A source for everyone is for everyone signed in."""
    instance = await start(everyone=True)
    async with client_of(instance) as client:
        answer = await client.get("/api/relay/prices")

    assert_problem(answer, 401, "unauthorized")


async def test_reading_without_grant_does_not_reach_the_upstream(
    bearer: Any, upstream: UpstreamProcess
):
    """What is refused costs the upstream nothing."""
    await bearer("prices")

    assert (await upstream.order())["connections"] == 0
