"""What a client holds: one connection, one pool for each loop, and nothing after its close."""

from __future__ import annotations

import asyncio
import gc
import time
from urllib.parse import urlsplit

import psutil

from api.telemetry.meter import CommandMeter
from api.upstash import NoReply, UpstashClient
from api.upstash.client import MAX_CONNECTIONS
from tests.integration.upstash_client.conftest import HASTY_S
from tests.support.upstash_server import UpstashServer


def our_ports(upstash: UpstashServer) -> set[int]:
    """The local ports of this process's connections to the server."""
    port = urlsplit(upstash.url).port
    return {
        one.laddr.port
        for one in psutil.Process().net_connections("tcp")
        if one.status == psutil.CONN_ESTABLISHED and one.raddr.port == port
    }


async def test_sequential_calls_share_one_connection(redis: UpstashClient, upstash: UpstashServer):
    """A TLS handshake costs more than the call."""
    before = our_ports(upstash)
    seen: set[int] = set()
    for _ in range(30):
        await redis.read("PING")
        await redis.pipeline([["PING"], ["PING"]])
        seen |= our_ports(upstash) - before

    assert len(seen) == 1


async def test_a_refused_call_keeps_the_connection(redis: UpstashClient, upstash: UpstashServer):
    """An error is an answer like another."""
    before = our_ports(upstash)
    await redis.read("PING")
    first = our_ports(upstash) - before
    results = await asyncio.gather(redis.read("NOSUCHCOMMAND"), return_exceptions=True)
    await redis.read("PING")

    assert isinstance(results[0], Exception)
    assert our_ports(upstash) - before == first


async def test_many_calls_at_once_share_few_connections(
    redis: UpstashClient, upstash: UpstashServer
):
    """The others wait for their turn, and all get their own answer."""
    before = our_ports(upstash)

    answers = await asyncio.gather(*(redis.read("ECHO", str(n)) for n in range(200)))

    assert answers == [str(n) for n in range(200)]
    assert len(our_ports(upstash) - before) <= MAX_CONNECTIONS


async def test_a_call_whose_turn_does_not_come_gives_up_in_time(
    hasty: UpstashClient, upstash: UpstashServer
):
    """Silence on all connections holds nobody longer than it said."""
    upstash.faults(silent=-1)
    began = time.perf_counter()

    calls = [hasty.read("PING") for _ in range(3 * MAX_CONNECTIONS)]
    errors = await asyncio.gather(*calls, return_exceptions=True)

    assert {type(error) for error in errors} == {NoReply}
    assert time.perf_counter() - began < HASTY_S + 0.3


async def test_closing_leaves_no_connection(upstash: UpstashServer):
    """Nor does closing what was never used fail."""
    before = our_ports(upstash)
    client = UpstashClient(upstash.url, upstash.token, timeout_s=5, meter=CommandMeter())
    await client.close()
    await asyncio.gather(*(client.read("PING") for _ in range(5)))
    assert len(our_ports(upstash) - before) == 5
    await client.close()

    assert our_ports(upstash) == before


def test_a_second_event_loop_works_at_once(upstash: UpstashServer):
    """Each has its own pool; the SDK alone would fail once."""
    client = UpstashClient(upstash.url, upstash.token, timeout_s=5, meter=CommandMeter())

    async def use() -> object:
        answer = await client.read("PING")
        await client.close()
        return answer

    assert [asyncio.run(use()) for _ in range(3)] == ["PONG"] * 3
    gc.collect()


def test_closing_from_another_loop_does_not_fail(upstash: UpstashServer):
    """The loop that owned the pool has taken it along."""
    client = UpstashClient(upstash.url, upstash.token, timeout_s=5, meter=CommandMeter())

    async def use() -> None:
        await client.read("PING")
        await client.close()

    asyncio.run(use())
    asyncio.run(client.close())
