"""The vendor's Python SDK, with its defaults, works against the local server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from upstash_redis.asyncio import Redis
from upstash_redis.errors import UpstashError

from tests.support.upstash_server import UpstashServer


@pytest.fixture
async def redis(upstash: UpstashServer) -> AsyncIterator[Redis]:
    async with Redis(url=upstash.url, token=upstash.token) as client:
        yield client


async def test_text_survives_the_default_base64_encoding(redis: Redis) -> None:
    """Texts in all alphabets are read as they were stored."""
    await redis.set("key", "grüße 😀\n")

    assert await redis.get("key") == "grüße 😀\n"


async def test_a_stored_ok_is_not_taken_for_a_status(redis: Redis) -> None:
    """`OK` is not encoded as a status, but it is as data."""
    await redis.set("key", "OK")

    assert await redis.get("key") == "OK"


async def test_pipeline_gives_its_results_in_order(redis: Redis) -> None:
    """Results are in the order of the commands."""
    pipeline = redis.pipeline()
    pipeline.set("a", "1")
    pipeline.incr("a")
    pipeline.get("a")

    results = await pipeline.exec()

    assert results == [True, 2, "2"]


async def test_multi_gives_its_results_in_order(redis: Redis) -> None:
    """A transaction reads like a pipeline."""
    transaction = redis.multi()
    transaction.hset("h", "f", "v")
    transaction.hgetall("h")

    results = await transaction.exec()

    assert results == [1, {"f": "v"}]


async def test_streams_have_the_sdk_shapes(redis: Redis) -> None:
    """XADD, XREAD and XRANGE come as nested lists of strings."""
    first = await redis.xadd("s", "1-1", {"d": "x"})

    assert first == "1-1"
    assert await redis.xread({"s": "0"}) == [["s", [["1-1", ["d", "x"]]]]]
    assert str(await redis.xrange("s")) == "[['1-1', ['d', 'x']]]"
    assert await redis.xread({"s": "1-1"}) == []


async def test_scripts_run_by_body_and_by_digest(redis: Redis) -> None:
    """EVAL, SCRIPT LOAD and EVALSHA agree."""
    sha = await redis.script_load("return ARGV[1]")

    assert await redis.eval("return {KEYS[1], 2}", keys=["k"]) == ["k", 2]
    assert await redis.evalsha(sha, args=["x"]) == "x"


async def test_a_command_error_reaches_the_caller_with_its_code_word(redis: Redis) -> None:
    """Callers tell errors apart by the first word."""
    await redis.set("key", "text")

    with pytest.raises(UpstashError, match=r"^WRONGTYPE "):
        await redis.lpush("key", "x")


async def test_a_wrong_token_is_refused(upstash: UpstashServer) -> None:
    """Nothing runs without the right secret."""
    async with Redis(url=upstash.url, token="wrong", rest_retries=0) as stranger:
        with pytest.raises(UpstashError, match=r"^WRONGPASS invalid or missing auth token"):
            await stranger.get("key")
