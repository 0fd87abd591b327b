"""What is refused before it is read: the wrong way in, and names that are not this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from tests.integration.http.conftest import Api, client_of, production
from tests.integration.http.rows import assert_problem
from tests.support.asgi_reader import AsgiConnection
from tests.support.instances import Instance, running, settings_for
from tests.support.upstash_server import UpstashServer

ORIGIN_SECRET = "only-the-cdn-knows-this-0123456789"
KNOWN = ("x-origin-secret", ORIGIN_SECRET)


async def clock(instance: Instance, headers: Sequence[tuple[str, str]]) -> AsgiConnection:
    """A stream of the clock that has begun, or was refused."""
    app: Any = instance.app
    connection = AsgiConnection(app, "/api/clock", [], headers)
    async with asyncio.timeout(10):
        while not connection.status:
            await connection.wait(5)
    return connection


def forged(number: int) -> tuple[str, str]:
    return "X-Forwarded-For", f"203.0.113.{number}"


async def test_a_line_that_the_client_wrote_before_the_proxys_own_does_not_count(
    upstash: UpstashServer,
) -> None:
    """Header lines of one name are one list, in their order; the proxy's entry is its last."""
    settings = production(upstash, max_anonymous_streams_per_ip=2, trusted_proxies=1)
    proxy = ("X-Forwarded-For", "198.51.100.7")

    async with running(settings) as instance:
        streams = [await clock(instance, [forged(one), proxy]) for one in range(4)]
        for stream in streams:
            await stream.close()

    assert [stream.status for stream in streams] == [200, 200, 429, 429]


async def test_past_the_cdn_nothing_is_answered_so_no_hop_can_be_forged(
    upstash: UpstashServer,
) -> None:
    """With two trusted proxies, one forged hop would pass every limit on addresses."""
    settings = production(
        upstash, max_anonymous_streams_per_ip=1, trusted_proxies=2, origin_secret=ORIGIN_SECRET
    )
    gateway = ("X-Forwarded-For", "192.0.2.1")
    ways = [[forged(1), gateway], [forged(2), gateway, ("x-origin-secret", "guessed")]]

    async with running(settings) as instance:
        streams = [await clock(instance, way) for way in ways]
        streams += [await clock(instance, [forged(one), gateway, KNOWN]) for one in (3, 3, 4)]
        for stream in streams:
            await stream.close()

    assert [stream.status for stream in streams] == [403, 403, 200, 429, 200]


@pytest.mark.parametrize("path", ["/api/events?topic=public:a", "/api/docs", "/nothing", "/"])
async def test_every_route_asks_for_the_secret_of_the_cdn(
    upstash: UpstashServer, path: str
) -> None:
    """Whatever the path, and whatever the credentials."""
    async with running(production(upstash, origin_secret=ORIGIN_SECRET)) as instance:
        api = Api(client_of(instance), instance)
        refused = await api.client.get(path, headers=api.bearer("admin"))
        passed = await api.client.get("/api/docs", headers=dict([KNOWN]))
        await api.client.aclose()

    assert_problem(refused, 403, "direct-access")
    assert refused.json()["ref"] == refused.headers["x-request-id"]
    assert passed.status_code == 200


async def test_probes_need_no_secret_of_the_cdn(upstash: UpstashServer) -> None:
    """They come from beside the process, and cost nobody's share."""
    async with (
        running(production(upstash, origin_secret=ORIGIN_SECRET)) as instance,
        client_of(instance) as client,
    ):
        live = await client.get("/api/health/live")
        ready = await client.get("/api/health/ready")

    assert (live.status_code, ready.status_code) == (200, 200)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example"])
async def test_local_mode_answers_to_no_name_that_somebody_else_can_point_here(
    upstash: UpstashServer, host: str
) -> None:
    """A page of evil.example whose name is bound to 127.0.0.1 would be of our own origin."""
    async with running(settings_for(upstash)) as instance, client_of(instance) as client:
        headers = {"Host": host, "Origin": f"http://{host}"}
        answers = [
            await client.post("/api/dev/session", json={"user": "eve"}, headers=headers),
            await client.get("/api/health", headers=headers),
            await client.get("/nothing", headers=headers),
        ]

    for answer in answers:
        assert_problem(answer, 403, "foreign-host")


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8000", "127.1.2.3", "[::1]:8000", "localhost", "LOCALHOST:8000", "a.localhost"],
)
async def test_local_mode_answers_to_every_name_of_loopback(
    upstash: UpstashServer, host: str
) -> None:
    """And production to any name: there a proxy in front chooses it."""
    async with running(settings_for(upstash)) as instance, client_of(instance) as client:
        local = await client.get("/api/health/live", headers={"Host": host})
    async with running(production(upstash)) as instance, client_of(instance) as client:
        public = await client.get("/api/health/live", headers={"Host": "evil.example"})

    assert (local.status_code, public.status_code) == (200, 200)
