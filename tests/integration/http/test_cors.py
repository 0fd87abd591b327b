"""What pages of other origins may read."""

from __future__ import annotations

import pytest

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


@pytest.mark.parametrize("origin", [{}, {"Origin": "https://evil.example"}])
async def test_what_an_allowed_origin_would_get_differently_says_so(
    upstash: UpstashServer, origin: dict[str, str]
) -> None:
    """A cache would give the answer without the permission to a page that has it."""
    settings = production(upstash, allowed_origins=(PAGE,))
    async with running(settings) as instance, client_of(instance) as client:
        read = await client.get("/api/openapi.json", headers=origin)
        refused = await client.get(URL, headers={**origin, "Accept": "application/json"})
        preflight = await client.options(
            URL, headers={"Origin": PAGE, "Access-Control-Request-Method": "GET"}
        )

    for answer in (read, refused, preflight):
        assert "Origin" in answer.headers["vary"].split(", ")
        assert answer.headers.get_list("vary") == [answer.headers["vary"]]


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
