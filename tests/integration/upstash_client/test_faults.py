"""Every fault: the right error, the right number of executions, in time."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from api.telemetry.meter import CommandMeter
from api.upstash import (
    AuthFailed,
    BadGateway,
    NoReply,
    QuotaExceeded,
    RedisError,
    Script,
    Unreachable,
    UpstashClient,
)
from api.upstash.client import ATTEMPTS
from tests.integration.upstash_client.conftest import HASTY_S
from tests.support.upstash_server import UpstashServer

BUMP = Script("return redis.call('INCR', KEYS[1])", calls=lambda _: ("INCR",))

# fault, the error it is, how often a request that suffers it is executed
FAULTS: list[tuple[str, type[RedisError], int]] = [
    ("silent", NoReply, 0),
    ("bad_gateway", BadGateway, 0),
    ("quota", QuotaExceeded, 0),
    ("lose_replies", NoReply, 1),
    ("cut", NoReply, 1),
]
NOT_BLIND = [fault for fault in FAULTS if fault[0] != "quota"]


async def value(upstash: UpstashServer, redis: UpstashClient) -> int:
    upstash.clear_faults()
    return int(await redis.read("GET", "n") or 0)


@pytest.mark.parametrize("fault", [name for name, _, _ in FAULTS])
async def test_a_read_survives_one_fault(
    fault: str, hasty: UpstashClient, upstash: UpstashServer, meter: CommandMeter
):
    """It is simply asked again."""
    upstash.faults(**{fault: 1})

    assert await hasty.read("ECHO", "hello") == "hello"
    assert meter.commands == {"ECHO": 2}


@pytest.mark.parametrize(("fault", "kind", "_"), FAULTS)
async def test_a_read_gives_up_in_time_with_the_last_error(
    fault: str,
    kind: type[RedisError],
    _: int,
    *,
    hasty: UpstashClient,
    upstash: UpstashServer,
    meter: CommandMeter,
):
    """After three tries at most, and never later than it may."""
    upstash.faults(**{fault: -1})
    began = time.perf_counter()

    with pytest.raises(RedisError) as error:
        await hasty.read("ECHO", "hello")

    assert isinstance(error.value, kind | NoReply)
    assert type(error.value) is kind or fault == "silent"
    assert time.perf_counter() - began < HASTY_S + 0.2
    assert 1 < meter.commands["ECHO"] <= ATTEMPTS


@pytest.mark.parametrize(("fault", "kind", "executions"), NOT_BLIND)
async def test_a_write_that_may_have_run_is_not_repeated(
    fault: str,
    kind: type[RedisError],
    executions: int,
    *,
    hasty: UpstashClient,
    upstash: UpstashServer,
    meter: CommandMeter,
):
    """The error says that nobody knows."""
    upstash.faults(**{fault: 1})

    with pytest.raises(kind) as error:
        await hasty.write("INCR", "n")

    assert type(error.value) is kind
    assert error.value.executed is None
    assert meter.commands["INCR"] == 1
    assert await value(upstash, hasty) == executions


async def test_a_write_that_was_refused_is_repeated(hasty: UpstashClient, upstash: UpstashServer):
    """It cannot have run."""
    upstash.faults(quota=ATTEMPTS - 1)

    assert await hasty.write("INCR", "n") == 1


async def test_a_quota_that_stays_is_the_callers_business(
    hasty: UpstashClient, upstash: UpstashServer, meter: CommandMeter
):
    """Three tries, and the error that says what it is."""
    upstash.faults(quota=-1)

    with pytest.raises(QuotaExceeded) as error:
        await hasty.write("INCR", "n")

    assert error.value.executed is False
    assert meter.commands["INCR"] == ATTEMPTS
    assert await value(upstash, hasty) == 0


@pytest.mark.parametrize(("fault", "_", "executions"), FAULTS)
async def test_a_repeatable_write_survives_one_fault(
    fault: str, _: object, executions: int, hasty: UpstashClient, upstash: UpstashServer
):
    """At the price of running twice, which is harmless for what says it is repeatable."""
    upstash.faults(**{fault: 1})

    assert await hasty.write("INCR", "n", repeatable=True) == executions + 1


@pytest.mark.parametrize(("fault", "kind", "executions"), NOT_BLIND)
@pytest.mark.parametrize("call", ["pipeline", "transaction", "script"])
async def test_a_batch_or_script_that_may_have_run_is_not_repeated(
    call: str,
    fault: str,
    kind: type[RedisError],
    executions: int,
    *,
    hasty: UpstashClient,
    upstash: UpstashServer,
):
    """As a single write."""
    upstash.faults(**{fault: 1})

    with pytest.raises(kind):
        await bump(hasty, call)

    assert await value(upstash, hasty) == executions


@pytest.mark.parametrize(("fault", "_", "executions"), FAULTS)
@pytest.mark.parametrize("call", ["pipeline", "transaction", "script"])
async def test_a_repeatable_batch_or_script_survives_one_fault(
    call: str,
    fault: str,
    _: object,
    executions: int,
    *,
    hasty: UpstashClient,
    upstash: UpstashServer,
):
    """As a single write."""
    upstash.faults(**{fault: 1})

    assert await bump(hasty, call, repeatable=True) == executions + 1


async def bump(redis: UpstashClient, call: str, **options: Any) -> Any:
    if call == "script":
        return await redis.script(BUMP, keys=["n"], args=[], **options)
    results = await getattr(redis, call)([["INCR", "n"], ["ECHO", "x"]], **options)
    assert results[1] == "x"
    return results[0]


async def test_a_slow_answer_within_the_time_is_an_answer(
    hasty: UpstashClient, upstash: UpstashServer
):
    """Half of the time is for each try."""
    upstash.faults(throttle_ms=HASTY_S * 300)

    assert await hasty.write("INCR", "n") == 1


async def test_an_answer_slower_than_a_try_is_no_reply(
    hasty: UpstashClient, upstash: UpstashServer
):
    """The caller is never held longer than it said."""
    upstash.faults(rtt_ms=HASTY_S * 4000)
    began = time.perf_counter()

    with pytest.raises(NoReply):
        await hasty.read("ECHO", "x")

    assert time.perf_counter() - began < HASTY_S + 0.2


async def test_a_closed_connection_before_any_answer_is_no_reply(
    hasty: UpstashClient, upstash: UpstashServer, meter: CommandMeter
):
    """The request may have arrived: a write is not repeated."""
    upstash.faults(refuse=True)

    with pytest.raises(NoReply):
        await hasty.write("INCR", "n")

    assert meter.commands == {"INCR": 1}


async def test_where_nobody_listens_nothing_was_executed(unused_tcp_port: int, meter: CommandMeter):
    """So even a write is tried again."""
    client = UpstashClient(f"http://127.0.0.1:{unused_tcp_port}", "t", timeout_s=2, meter=meter)

    with pytest.raises(Unreachable) as error:
        await client.write("INCR", "n")

    assert error.value.executed is False
    assert meter.commands["INCR"] == ATTEMPTS
    await client.close()


async def test_a_wrong_token_is_not_retried(upstash: UpstashServer, meter: CommandMeter):
    """It stays wrong."""
    client = UpstashClient(upstash.url, "wrong", timeout_s=2, meter=meter)

    for call in [client.read("ECHO", "x"), client.pipeline([["ECHO", "x"]], repeatable=True)]:
        with pytest.raises(AuthFailed):
            await call

    assert meter.commands == {"ECHO": 2}
    await client.close()


async def test_a_read_only_token_does_not_write(upstash: UpstashServer, meter: CommandMeter):
    """It is the token's fault, and said so."""
    client = UpstashClient(upstash.url, upstash.readonly_token, timeout_s=2, meter=meter)

    with pytest.raises(AuthFailed):
        await client.write("INCR", "n")

    await client.close()


async def test_a_call_that_is_cancelled_ends_at_once(
    redis: UpstashClient, upstash: UpstashServer, meter: CommandMeter
):
    """Cancelling is not an error to be retried."""
    upstash.faults(silent=-1)
    call = asyncio.create_task(redis.read("ECHO", "x"))
    async with asyncio.timeout(5):
        while not meter.billed:
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait([call])

    assert call.cancelled()
    assert meter.commands == {"ECHO": 1}


async def test_faults_leave_the_client_usable(hasty: UpstashClient, upstash: UpstashServer):
    """No connection of the pool stays broken or taken."""
    for fault, _, _ in FAULTS:
        upstash.faults(**{fault: 20})
        await asyncio.gather(*(hasty.write("INCR", "n") for _ in range(20)), return_exceptions=True)
        upstash.clear_faults()

        answers = await asyncio.gather(*(hasty.read("ECHO", str(n)) for n in range(20)))
        assert answers == [str(n) for n in range(20)]
