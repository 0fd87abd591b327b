"""Each fault does to a client what its name says, and to the database what it promises."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest

from tests.integration.local_upstash.conftest import Rest
from tests.support.upstash_server import UpstashServer


async def test_a_lost_reply_was_executed(rest: Rest, upstash: UpstashServer) -> None:
    """The write is stored and billed, which the caller cannot know."""
    upstash.faults(lose_replies=1, only=["XADD"])

    await rest.run("GET", "spared")
    with pytest.raises(httpx.RemoteProtocolError):
        await rest.run("XADD", "s", "*", "d", "x")

    assert upstash.meter().commands == {"GET": 1, "XADD": 1}
    assert await rest.result("XLEN", "s") == 1


async def test_a_lost_pipeline_matches_by_any_of_its_commands(
    rest: Rest, upstash: UpstashServer
) -> None:
    """One matching command loses the whole answer."""
    upstash.faults(lose_replies=1, only=["EVAL"])

    with pytest.raises(httpx.RemoteProtocolError):
        await rest.batch("/pipeline", ["SET", "k", "v"], ["EVAL", "return 1", 0])

    assert await rest.result("GET", "k") == "v"


async def test_a_bad_gateway_was_not_executed(rest: Rest, upstash: UpstashServer) -> None:
    """It is HTML instead of JSON, as often as was asked for."""
    upstash.faults(bad_gateway=2)

    statuses = [await rest.http.get("/incr/n") for _ in range(3)]

    assert [response.status_code for response in statuses] == [502, 502, 200]
    assert statuses[0].headers["Content-Type"] == "text/html"
    assert await rest.result("GET", "n") == "1"


async def test_an_exhausted_quota_is_an_error_object(rest: Rest, upstash: UpstashServer) -> None:
    """The command does not run and is not billed."""
    upstash.faults(quota=1)

    response = await rest.http.get("/incr/n")

    assert response.status_code == 400
    assert response.json()["error"].startswith("ERR max requests limit exceeded")
    assert upstash.meter().billed == 0


async def test_a_cut_answer_breaks_in_the_middle(rest: Rest, upstash: UpstashServer) -> None:
    """Status and length arrive, the body does not."""
    upstash.faults(cut=1)

    async with rest.http.stream("GET", "/incr/n") as response:
        assert response.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError):
            await response.aread()

    assert await rest.result("GET", "n") == "1"


async def test_silence_lasts_until_the_faults_are_cleared(
    rest: Rest, upstash: UpstashServer
) -> None:
    """Then the connection closes; nothing was executed."""
    upstash.faults(silent=1, only=["INCR"])
    held = asyncio.create_task(rest.run("INCR", "n"))
    assert await rest.result("PING") == "PONG"  # the first request holds up nobody else
    assert not held.done()

    upstash.clear_faults()

    with pytest.raises(httpx.RemoteProtocolError):
        await held
    assert await rest.result("EXISTS", "n") == 0


async def test_silence_ends_when_the_client_gives_up(rest: Rest, upstash: UpstashServer) -> None:
    """Only its own time-out ends the wait of a client."""
    upstash.faults(silent=1)

    with pytest.raises(httpx.ReadTimeout):
        await rest.http.get("/incr/n", timeout=0.05)

    assert await rest.result("EXISTS", "n") == 0


async def test_refusal_closes_every_connection_until_cleared(
    rest: Rest, upstash: UpstashServer
) -> None:
    """Only the controls still answer."""
    upstash.faults(refuse=True)

    for _ in range(3):
        with pytest.raises(httpx.TransportError):
            await rest.run("PING")
    with pytest.raises(httpx.TransportError):
        await rest.http.post("/subscribe/ch")
    upstash.clear_faults()

    assert await rest.result("PING") == "PONG"


async def test_round_trip_time_is_half_before_and_half_after(
    rest: Rest, upstash: UpstashServer
) -> None:
    """A write is visible in the middle of its request."""
    upstash.faults(rtt_ms=100)
    started = time.perf_counter()
    seconds, microseconds = await rest.result("TIME")
    took_s = time.perf_counter() - started
    since_it_ran_s = time.time() - (int(seconds) + int(microseconds) / 1e6)

    assert took_s >= 0.1
    assert 0.04 <= since_it_ran_s <= took_s - 0.04


async def test_throttled_requests_wait_and_succeed(rest: Rest, upstash: UpstashServer) -> None:
    """As over the limit of commands per second, it is late but not refused."""
    upstash.faults(throttle_ms=60)
    started = time.perf_counter()

    assert await rest.result("PING") == "PONG"

    assert time.perf_counter() - started >= 0.06


@pytest.mark.parametrize("fault", ["lose_replies", "bad_gateway", "silent", "cut", "quota"])
async def test_minus_one_lasts_until_cleared(
    rest: Rest, upstash: UpstashServer, fault: str
) -> None:
    """All counted faults can be switched on without end."""
    upstash.faults(**{fault: -1})
    for _ in range(3):
        try:
            response = await rest.http.get("/ping", timeout=0.05)
        except httpx.TransportError:
            continue
        assert response.status_code in {400, 502}

    upstash.clear_faults()

    assert await rest.result("PING") == "PONG"


async def test_subscriptions_suffer_faults_as_well(rest: Rest, upstash: UpstashServer) -> None:
    """A subscriber that reconnects gets the same faults."""
    upstash.faults(bad_gateway=1, only=["SUBSCRIBE"])

    assert await rest.result("PING") == "PONG"
    assert (await rest.http.post("/subscribe/ch")).status_code == 502


async def test_an_unknown_fault_is_refused(rest: Rest) -> None:
    """With a typing error a test would run without its fault."""
    response = await rest.http.put("/_local/faults", json={"loose_replies": 1})

    assert response.status_code == 400


async def test_an_unknown_control_is_not_found(rest: Rest) -> None:
    """It runs no command either."""
    assert (await rest.http.get("/_local/get")).status_code == 404
