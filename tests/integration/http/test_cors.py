"""What pages of other origins may read."""

from __future__ import annotations

from tests.integration.http.conftest import Api, client_of, production
from tests.support.instances import running
from tests.support.upstash_server import UpstashServer

PAGE = "https://page.example"
URL = "/api/events?topic=shop:a"


async def test_cors_adds_to_vary_and_replaces_nothing(upstash: UpstashServer) -> None:
    """A shared cache must still tell callers and forms apart."""
    settings = production(upstash, allowed_origins=(PAGE,))
    async with running(settings) as instance, client_of(instance) as client:
        headers = {**Api(client, instance).bearer(), "Accept": "application/json"}
        answer = await client.get(URL, headers={**headers, "Origin": PAGE})

    varies = {name.strip() for name in answer.headers["vary"].split(",")}
    assert varies == {"Accept", "Authorization", "Cookie", "Origin"}
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["access-control-allow-credentials"] == "true"


async def test_with_every_origin_allowed_no_credentials_are(upstash: UpstashServer) -> None:
    """Else every page could act as its visitor."""
    settings = production(upstash, allowed_origins=("*",))
    async with running(settings) as instance, client_of(instance) as client:
        answer = await client.get("/api/health/live", headers={"Origin": PAGE})

    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


async def test_a_refused_preflight_is_a_problem(upstash: UpstashServer) -> None:
    settings = production(upstash, allowed_origins=(PAGE,))
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"}
    async with running(settings) as instance, client_of(instance) as client:
        answer = await client.options(URL, headers=asked)

    assert (answer.status_code, answer.json()["code"]) == (400, "bad-request")
    assert answer.headers["content-type"] == "application/problem+json"
    assert "access-control-allow-origin" not in answer.headers
