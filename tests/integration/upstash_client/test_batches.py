"""Pipelines, transactions and scripts: good results survive bad items."""

from __future__ import annotations

import pytest

from api.telemetry.meter import CommandMeter
from api.upstash import AuthFailed, Refused, Script, TooLarge, UpstashClient, WrongType
from tests.support.upstash_server import UpstashServer

BAD: list[list[str | int | float]] = [["SET", "k", "text"], ["LPUSH", "k", "x"], ["INCR", "n"]]


@pytest.mark.parametrize("call", ["pipeline", "transaction"])
async def test_a_bad_item_leaves_the_others_results(
    call: str, redis: UpstashClient, meter: CommandMeter
):
    """The error stands in its place; nothing is run again."""
    results = await getattr(redis, call)(BAD)

    assert [results[0], results[2]] == ["OK", 1]
    assert isinstance(results[1], WrongType)
    assert await redis.read("GET", "n") == "1"
    assert meter.commands["INCR"] == 1


async def test_a_transaction_that_is_refused_as_a_whole_raises(
    redis: UpstashClient, upstash: UpstashServer
):
    """None of it ran, and the error is Redis's, not the SDK's."""
    with pytest.raises(Refused) as error:
        await redis.transaction([["SET", "k", "v"], ["NOSUCHCOMMAND"]])

    assert (error.value.kind, error.value.executed) == ("EXECABORT", False)
    assert await redis.read("EXISTS", "k") == 0


async def test_a_pipeline_with_an_unknown_command_runs_the_rest(redis: UpstashClient):
    """Not atomic, as it says."""
    results = await redis.pipeline([["SET", "k", "v"], ["NOSUCHCOMMAND"]])

    assert results[0] == "OK"
    assert isinstance(results[1], Refused)


async def test_a_pipeline_can_be_run_again(redis: UpstashClient):
    """The SDK would remember what failed and run it twice."""
    await redis.pipeline(BAD)
    results = await redis.pipeline([["INCR", "n"]])

    assert results == [2]


async def test_a_request_that_is_too_large_is_refused(redis: UpstashClient):
    """Told apart, so that the caller can send less."""
    with pytest.raises(TooLarge) as error:
        await redis.write("SET", "k", "x" * (10 * 1024 * 1024))

    assert (error.value.executed, error.value.transient) == (False, False)


async def test_a_reply_that_is_too_large_is_refused(redis: UpstashClient):
    """As the request, and also for a pipeline as a whole."""
    await redis.write("SET", "k", "x" * (6 * 1024 * 1024))

    with pytest.raises(TooLarge):
        await redis.pipeline([["GET", "k"], ["GET", "k"]])


async def test_a_script_returns_what_it_returns(redis: UpstashClient):
    """Keys and arguments in their places, numbers as numbers."""
    script = Script("return {KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2]) + 1}", lambda _: ())

    assert await redis.script(script, keys=["a", "b"], args=["x", 41]) == ["a", "b", "x", 42]


async def test_a_script_that_fails_is_refused(redis: UpstashClient):
    """With the kind that Redis gives it."""
    script = Script("return redis.call('LPUSH', KEYS[1], 'x')", lambda _: ("LPUSH",))
    await redis.write("SET", "k", "v")

    with pytest.raises(Refused):
        await redis.script(script, keys=["k"], args=[])


async def test_a_single_command_that_fails_raises(redis: UpstashClient):
    """Its own class, with the status."""
    await redis.write("SET", "k", "v")

    with pytest.raises(WrongType) as error:
        await redis.write("LPUSH", "k", "x")

    assert error.value.status == 400


@pytest.mark.parametrize(
    "text", ["", "é✓ 漢字 \U0001f600", 'quote " and \\', "a\r\nb\0c", "null", "1"]
)
async def test_texts_come_back_as_they_were(text: str, redis: UpstashClient):
    """No base64, no conversion, no lost byte."""
    await redis.write("SET", "k", text)

    assert await redis.read("GET", "k") == text


async def test_a_pipeline_with_a_wrong_token_raises(upstash: UpstashServer, meter: CommandMeter):
    """The answer is one object there, which the SDK cannot read."""
    client = UpstashClient(upstash.url, "wrong", timeout_s=2, meter=meter)

    with pytest.raises(AuthFailed):
        await client.transaction([["SET", "k", "v"]])

    await client.close()
