"""The package is built from the settings."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping

import pytest

from api.problems import ForeignOrigin, RateLimited, Unauthorized
from api.security.authenticator import Credentials
from api.security.wiring import Security, build_security
from api.settings import Settings
from api.system import System
from api.telemetry.meter import CommandMeter
from api.upstash import UpstashClient
from tests.unit.security.jwks_server import JwksServer, rs256, rsa_jwk
from tests.unit.security.support import NOW, SECRET, FakeClock, counting_ids

BASE = {
    "UPSTASH_REDIS_REST_URL": "http://127.0.0.1:1",
    "UPSTASH_REDIS_REST_TOKEN": "t",
    "MILLRACE_SECRET": SECRET,
    "MILLRACE_ENV": "local",
}


@pytest.fixture
def meter() -> CommandMeter:
    return CommandMeter()


@pytest.fixture
async def redis(meter: CommandMeter) -> AsyncIterator[UpstashClient]:
    client = UpstashClient("http://127.0.0.1:1", "t", timeout_s=1, meter=meter)
    yield client
    await client.close()


def built(
    monkeypatch: pytest.MonkeyPatch, redis: UpstashClient, **changes: str
) -> tuple[Security, Settings]:
    values: Mapping[str, str] = {**BASE, **changes}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    clock = FakeClock()
    security = build_security(
        settings, redis, System(clock, clock, random.Random(1), counting_ids())
    )
    return security, settings


async def test_local_mode_has_no_connection_limits_and_costs_no_command(
    monkeypatch: pytest.MonkeyPatch, redis: UpstashClient, meter: CommandMeter
):
    """A developer with many tabs is not locked out."""
    security, _ = built(monkeypatch, redis)

    for number in range(50):
        await security.connections.acquire("alice", "127.0.0.1", f"c{number}")

    assert meter.billed == 0


@pytest.mark.parametrize(
    "change", [{"MILLRACE_ENV": "production"}, {"MILLRACE_MAX_STREAMS_PER_USER": "2"}]
)
async def test_limits_count_in_production_and_where_they_are_set(
    monkeypatch: pytest.MonkeyPatch, redis: UpstashClient, change: dict[str, str]
):
    """Setting one in local mode tries it out."""
    security, _ = built(monkeypatch, redis, **change)

    await security.connections.acquire("alice", "127.0.0.1", "c")

    assert security.connections.held == 1


async def test_team_tokens_are_accepted_when_a_url_is_set(
    monkeypatch: pytest.MonkeyPatch, redis: UpstashClient, jwks: JwksServer
):
    """With issuer and audience from the settings."""
    jwks.keys = [rsa_jwk("a")]
    security, _ = built(
        monkeypatch,
        redis,
        MILLRACE_JWKS_URL=jwks.url,
        MILLRACE_JWT_ISSUER="me",
        MILLRACE_JWT_AUDIENCE="you",
    )
    good = {"sub": "carol", "exp": NOW + 60, "iss": "me", "aud": "you"}

    async def user(**claims: str) -> str:
        bearer = "Bearer " + rs256("a", {**good, **claims})
        given = Credentials("GET", authorization=bearer)
        return (await security.authenticator.authenticate(given)).id

    assert await user() == "carol"
    with pytest.raises(Unauthorized):
        await user(iss="other")
    with pytest.raises(Unauthorized):
        await user(aud="other")


async def test_production_wants_https_of_our_own_page(
    monkeypatch: pytest.MonkeyPatch, redis: UpstashClient
):
    """Local mode serves it over http."""
    local, _ = built(monkeypatch, redis)
    production, _ = built(monkeypatch, redis, MILLRACE_ENV="production")
    by_cookie = Credentials(
        "POST", cookie=local.sessions.issue("alice"), origin="http://a.b", host="a.b"
    )

    assert (await local.authenticator.authenticate(by_cookie)).id == "alice"
    with pytest.raises(ForeignOrigin):
        await production.authenticator.authenticate(by_cookie)


async def test_publishing_is_limited_as_set(monkeypatch: pytest.MonkeyPatch, redis: UpstashClient):
    """Burst and rate come from the settings."""
    security, _ = built(monkeypatch, redis, MILLRACE_PUBLISH_BURST="2")

    security.publish_rate.take("alice", 2)
    with pytest.raises(RateLimited):
        security.publish_rate.take("alice")
