"""Our own bill is the server's."""

from __future__ import annotations

from api.events.log.idempotency import APPEND_ONCE
from api.telemetry.meter import CommandMeter
from api.upstash import UpstashClient
from tests.support.upstash_server import UpstashServer


async def test_the_meter_agrees_with_the_server_on_a_mixed_workload(
    redis: UpstashClient, upstash: UpstashServer, meter: CommandMeter
):
    """Singles, pipelines with a bad item, transactions, scripts and their inner commands."""
    await redis.write("SET", "k", "v")
    await redis.read("GET", "k")
    await redis.pipeline([["LPUSH", "k", "x"], ["INCR", "n"], ["INCR", "n"]])
    await redis.transaction([["XADD", "s", "*", "e", "1"], ["EXPIRE", "s", 60]])
    await redis.read("XREAD", "COUNT", 10, "STREAMS", "s", "t", "0", "0")
    for _ in range(2):
        await redis.script(APPEND_ONCE, keys=["once", "log"], args=[60, "f", "{}", 10, 60])

    billed = upstash.meter()
    assert dict(meter.commands) == billed.commands
    assert meter.billed == billed.billed
    assert billed.commands["EVAL"] == 2
    assert billed.commands["XADD"] == 2


async def test_a_retried_call_is_counted_each_time_it_was_sent(
    redis: UpstashClient, upstash: UpstashServer, meter: CommandMeter
):
    """A lost reply was billed; counting it twice is the truth."""
    upstash.faults(lose_replies=1)
    await redis.write("INCR", "n", repeatable=True)

    assert meter.commands == upstash.meter().commands == {"INCR": 2}


async def test_a_script_whose_reply_was_lost_is_counted(
    redis: UpstashClient, upstash: UpstashServer, meter: CommandMeter
):
    """As any other command: at least its EVAL is billed."""
    upstash.faults(lose_replies=1)
    await redis.script(
        APPEND_ONCE, keys=["once", "log"], args=[60, "f", "{}", 10, 60], repeatable=True
    )

    assert meter.commands["EVAL"] == upstash.meter().commands["EVAL"] == 2
