"""SUBSCRIBE, PSUBSCRIBE and MONITOR over server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import httpx
import pytest

from tests.integration.local_upstash.conftest import Rest
from tests.support.upstash_server import UpstashServer


@asynccontextmanager
async def listening(rest: Rest, path: str) -> AsyncIterator[AsyncIterator[str]]:
    """The lines of a stream, once it is established; blank ones left out."""
    async with rest.http.stream("POST", path, headers={"Upstash-Encoding": "base64"}) as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        assert "Upstash-Sync-Token" in response.headers
        yield (line async for line in response.aiter_lines() if line)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another process is about to do."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("path", ["/subscribe/room:1", "/subscribe/room%3A1"])
async def test_a_subscriber_hears_its_channel(rest: Rest, path: str) -> None:
    """The lines are plain even when base64 is asked for; commas in a payload stay."""
    async with listening(rest, path) as lines:
        assert await anext(lines) == "data: subscribe,room:1,1"
        assert await rest.result("PUBLISH", "room:1", '{"a":1,"b":2}') == 1
        assert await anext(lines) == 'data: message,room:1,{"a":1,"b":2}'


async def test_a_pattern_subscriber_hears_which_channel_spoke(rest: Rest) -> None:
    """Pattern first, then channel."""
    async with listening(rest, "/psubscribe/room:*") as lines:
        assert await anext(lines) == "data: psubscribe,room:*,1"
        await rest.run("PUBLISH", "room:2", "x")
        assert await anext(lines) == "data: pmessage,room:*,room:2,x"


async def test_a_monitor_sees_commands_but_not_our_own_bracket(rest: Rest) -> None:
    """MONITOR does not show the commands that measure a script."""
    async with listening(rest, "/monitor") as lines:
        assert await anext(lines) == 'data: "OK"'
        await rest.run("EVAL", "return redis.call('GET', KEYS[1])", 1, "inside")
        await rest.run("GET", "after")
        seen = [await anext(lines) for _ in range(3)]

    assert '[0 0.0.0.0:0] "EVAL" ' in seen[0]
    assert seen[1].endswith('lua] "GET" "inside"')
    assert seen[2].endswith('[0 0.0.0.0:0] "GET" "after"')


async def test_a_subscription_is_released_when_the_client_leaves(rest: Rest) -> None:
    """A client that has left does not count as a receiver."""
    async with listening(rest, "/subscribe/ch") as lines:
        await anext(lines)
        assert await rest.result("PUBSUB", "NUMSUB", "ch") == ["ch", 1]

    async with asyncio.timeout(5):
        while await rest.result("PUBLISH", "ch", "x") != 0:
            await asyncio.sleep(0.005)


async def test_subscribing_publishing_and_leaving_cost_one_each(
    rest: Rest, upstash: UpstashServer
) -> None:
    """Delivered messages cost nothing."""
    async with listening(rest, "/subscribe/ch") as lines:
        await anext(lines)
        for _ in range(3):
            await rest.run("PUBLISH", "ch", "x")
            await anext(lines)

    await until(lambda: upstash.meter().billed == 5)
    assert upstash.meter().commands == {"SUBSCRIBE": 1, "PUBLISH": 3, "UNSUBSCRIBE": 1}


async def test_cut_subscribers_breaks_every_open_stream(rest: Rest, upstash: UpstashServer) -> None:
    """The stream ends without a last chunk, as by a network. New streams work at once."""
    async with listening(rest, "/subscribe/a") as a, listening(rest, "/subscribe/b") as b:
        await anext(a)
        await anext(b)

        upstash.faults(cut_subscribers=True)

        for lines in (a, b):
            with pytest.raises(httpx.RemoteProtocolError):
                await anext(lines)
    async with listening(rest, "/subscribe/a") as again:
        assert await anext(again) == "data: subscribe,a,1"


async def test_many_subscribers_do_not_starve_commands(rest: Rest) -> None:
    """Streams have connections of their own."""
    limits = httpx.Limits(max_connections=None)
    async with (
        httpx.AsyncClient(
            base_url=rest.http.base_url, headers=rest.http.headers, limits=limits
        ) as http,
        AsyncExitStack() as stack,
        asyncio.timeout(20),
    ):
        stream = partial(listening, Rest(http), "/subscribe/ch")
        readers = [await stack.enter_async_context(stream()) for _ in range(100)]
        await asyncio.gather(*map(anext, readers))

        assert await rest.result("PUBLISH", "ch", "x") == 100
        assert {await anext(lines) for lines in readers} == {"data: message,ch,x"}
