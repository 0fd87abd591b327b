"""Between invocations a process stands still; what it held may be gone when it goes on."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

import psutil
import pytest

from api.upstash.transport import IDLE_S, RestPool
from functions.deadline import MARGIN_S
from tests.integration.functions.conftest import Elsewhere, Start
from tests.support.execution_environment import BUFFERED, STREAMING, ExecutionEnvironment
from tests.support.gateway_events import function_url
from tests.support.runtime_api import Invocation
from tests.support.tcp_proxy import TcpProxy
from tests.support.upstash_server import UpstashServer

A = "public:a"
MODES = [STREAMING, BUFFERED]


@pytest.fixture
async def proxy(upstash: UpstashServer) -> AsyncIterator[TcpProxy]:
    async with TcpProxy(upstash.url) as one:
        yield one


@pytest.mark.parametrize("command", MODES)
async def test_nothing_runs_and_nothing_is_asked_for_between_invocations(
    command: list[str], start: Start, elsewhere: Elsewhere, upstash: UpstashServer
) -> None:
    """A poll under way would be answered to nobody; the stream before has left no task."""
    function = await start(command, {"window_s": 0.2}, timeout_s=MARGIN_S + 0.5)
    await publish(function, elsewhere)
    await (await elsewhere.ask(function, A)).ended()
    await function.api.until_polled()
    # A command that left before is counted by now: the store reads what came first.
    upstash.meter()
    upstash.meter()
    upstash.reset_meter()
    used = psutil.Process(function.pid).cpu_times().user
    time.sleep(0.5)

    assert upstash.meter().billed == 0
    assert psutil.Process(function.pid).cpu_times().user - used < 0.1


@pytest.mark.parametrize("command", MODES)
async def test_connections_that_ended_meanwhile_are_replaced(
    command: list[str], start: Start, elsewhere: Elsewhere, proxy: TcpProxy
) -> None:
    """A publish is not repeated blindly, so it must not meet one of them."""
    function = await start(command, env={"UPSTASH_REDIS_REST_URL": proxy.url})
    for number in range(3):
        published = await publish(function, elsewhere)
        assert published == 201, number
        await function.frozen()
        proxy.cut()

    assert proxy.accepted == 3


async def test_connections_that_were_forgotten_meanwhile_hold_up_nothing(
    start: Start, elsewhere: Elsewhere, proxy: TcpProxy
) -> None:
    """No sign of their end: reads are tried anew in time, and a stream loses nothing."""
    settings = {"redis_timeout_s": 1}
    function = await start(
        STREAMING, settings, {"UPSTASH_REDIS_REST_URL": proxy.url}, timeout_s=MARGIN_S + 2.5
    )
    first = await elsewhere.stream(function, A)
    await elsewhere.publish(A, 1)
    await first.ended()
    await function.frozen()
    await proxy.forget()
    await elsewhere.publish(A, 2)
    second = await (await elsewhere.ask(function, A, cursor_of(first))).ended()

    assert first.body.count(b"event: tick") == 1
    assert second.body.count(b"event: tick") == 1
    assert b"event: reset" not in second.body


async def test_a_connection_that_rested_long_is_not_trusted(
    upstash: UpstashServer, proxy: TcpProxy
) -> None:
    """It may be forgotten; a write on it could not be told from one that was executed."""
    now = 1000.0
    pool = RestPool(proxy.url, size=2, connect_timeout_s=1, clock=lambda: now)

    async def ping() -> int:
        headers = {"Authorization": f"Bearer {upstash.token}"}
        async with asyncio.timeout(5):
            return (await pool.post("/", headers, b'["PING"]')).status

    assert [await ping(), await ping()] == [200, 200]
    now += IDLE_S - 1
    assert await ping() == 200
    assert proxy.accepted == 1
    await proxy.forget()
    now += IDLE_S
    assert await ping() == 200
    assert proxy.accepted == 2
    now -= 3600  # the clock was set back: nobody knows
    assert await ping() == 200
    assert proxy.accepted == 3
    await pool.close()


async def publish(function: ExecutionEnvironment, elsewhere: Elsewhere) -> int:
    headers = elsewhere.headers | {"content-type": "application/json"}
    body = json.dumps({"type": "tick", "data": None})
    event = function_url(f"/api/events/{A}", [], headers, method="POST", body=body)
    answer = await (await function.invoke(event)).ended()
    whole = answer.prelude if answer.is_streamed else json.loads(answer.chunks[0])
    return int(whole["statusCode"])


def cursor_of(stream: Invocation) -> str:
    ids = [line for line in stream.body.decode().splitlines() if line.startswith("id: ")]
    return ids[-1].removeprefix("id: ")
