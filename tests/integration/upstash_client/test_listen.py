"""Subscriptions: what comes, and how they end."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from api.telemetry.meter import CommandMeter
from api.upstash import NoReply, RedisError, UpstashClient
from tests.support.upstash_server import UpstashServer

CHANNEL = "millrace:test"


async def test_a_subscription_says_that_it_is_there_and_then_brings_messages(
    redis: UpstashClient, upstash: UpstashServer
):
    """An empty text first; then each message whole, commas and all."""
    texts = ["public:a", "a,b,c", "message,x,y", "é 漢"]
    async with asyncio.timeout(5), aclosing(redis.listen(CHANNEL)) as messages:
        assert await anext(messages) == ""
        for text in texts:
            await redis.write("PUBLISH", CHANNEL, text)
            assert await anext(messages) == text


async def test_a_subscription_is_one_billed_command(redis: UpstashClient, meter: CommandMeter):
    """Whatever comes over it."""
    async with asyncio.timeout(5), aclosing(redis.listen(CHANNEL)) as messages:
        await anext(messages)

    assert meter.commands == {"SUBSCRIBE": 1}


async def test_a_subscription_that_the_server_ends_is_over(
    redis: UpstashClient, upstash: UpstashServer
):
    """By an end or by an error of ours; never a hang."""
    async with asyncio.timeout(5), aclosing(redis.listen(CHANNEL)) as messages:
        await anext(messages)
        upstash.faults(cut_subscribers=True)
        with pytest.raises((StopAsyncIteration, NoReply)):
            await anext(messages)


@pytest.mark.parametrize("fault", ["bad_gateway", "quota", "lose_replies"])
async def test_a_subscription_that_fails_raises_ours(
    fault: str, redis: UpstashClient, upstash: UpstashServer
):
    """The doorbell then tries again."""
    upstash.faults(**{fault: 1})

    async with asyncio.timeout(5), aclosing(redis.listen(CHANNEL)) as messages:
        with pytest.raises(RedisError):
            await anext(messages)


async def test_a_subscription_without_access_raises_ours(
    upstash: UpstashServer, meter: CommandMeter
):
    """A read-only token may not subscribe."""
    client = UpstashClient(upstash.url, upstash.readonly_token, timeout_s=2, meter=meter)

    async with asyncio.timeout(5), aclosing(client.listen(CHANNEL)) as messages:
        with pytest.raises(RedisError):
            await anext(messages)
    await client.close()


async def test_commands_pass_while_a_subscription_is_held(redis: UpstashClient):
    """It has a connection of its own."""
    async with asyncio.timeout(5), aclosing(redis.listen(CHANNEL)) as messages:
        await anext(messages)
        assert await redis.read("PING") == "PONG"
