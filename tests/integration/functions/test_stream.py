"""The streaming function as a process, started as Lambda starts it."""

from __future__ import annotations

import asyncio
import statistics
import time
from itertools import pairwise

from functions.deadline import MARGIN_S
from tests.integration.functions.conftest import Elsewhere, Start
from tests.support.execution_environment import STREAMING, ExecutionEnvironment
from tests.support.gateway import Gateway
from tests.support.gateway_events import function_url, rest_api
from tests.support.raw_reader import Reader, assert_each_once
from tests.support.runtime_api import Invocation

A = "public:a"
TICK_S = 0.2
TICKS = 5
STREAMS = 50


async def test_json_problems_and_cookies_pass_the_same_way(start: Start) -> None:
    """One function serves streams and everything else."""
    function = await start(STREAMING)
    health = await get(function, "/api/health")
    problem = await get(function, "/api/events?")
    event = rest_api(
        "/api/dev/session",
        [],
        {"content-type": "application/json"},
        method="POST",
        body='{"user": "alice"}',
    )
    session = await (await function.invoke(event)).ended()

    assert health.prelude["statusCode"] == 200
    assert health.body == b'{"status":"ok","parts":["redis"]}'
    assert problem.prelude["headers"]["content-type"] == "application/problem+json"
    assert session.prelude["statusCode"] in {200, 201}
    assert [cookie.partition("=")[0] for cookie in session.prelude["cookies"]] == [
        "millrace_session"
    ]


async def test_events_arrive_as_they_are_published(start: Start, elsewhere: Elsewhere) -> None:
    """Each before the next is made: nothing between waits for more."""
    function = await start(STREAMING, timeout_s=MARGIN_S + 3)
    stream = await elsewhere.stream(function, A)
    begun = len(stream.chunks)
    made = []
    for number in range(TICKS):
        await asyncio.sleep(TICK_S)
        made.append(time.perf_counter())
        await elsewhere.publish(A, number)
    await stream.ended()

    arrived = stream.arrived[begun : begun + TICKS]
    gaps = [later - earlier for earlier, later in pairwise(arrived)]
    assert stream.body.count(b"event: tick") == TICKS
    assert all(came < following for came, following in zip(arrived, made[1:], strict=False))
    assert abs(statistics.median(gaps) - TICK_S) < 0.05, gaps


async def test_a_stream_says_bye_before_the_deadline(start: Start, elsewhere: Elsewhere) -> None:
    """Lambda would cut it there, and kill the process with all that it does."""
    function = await start(STREAMING, timeout_s=MARGIN_S + 1)
    stream = await (await elsewhere.stream(function, A)).ended()

    left_s = stream.deadline_ms / 1000 - stream.ended_at
    assert b'"reason":"deadline"' in stream.body
    assert stream.body.endswith(b"\n\n")
    assert stream.trailers == {}
    assert MARGIN_S - 0.5 < left_s < MARGIN_S + 0.5
    assert function.starts == 1


async def test_a_reader_goes_on_in_the_next_invocation(start: Start, elsewhere: Elsewhere) -> None:
    """With its cursor, and whatever came while it was between the two."""
    settings = {"retry_ms": 1000}
    functions = [
        await start(STREAMING, settings, timeout_s=MARGIN_S + 1, freezes=True) for _ in range(2)
    ]
    published: list[str] = []
    async with Gateway(functions) as url, Reader(url.url, elsewhere.token, [A]) as reader:
        while reader.connected < 3:
            published += await elsewhere.publish(A, "x")
            await asyncio.sleep(0.05)
        await reader.has(len(published))

    assert {bye.reason for bye in reader.byes} == {"deadline"}
    assert_each_once([reader], {A: published})
    assert [function.starts for function in functions] == [1, 1]


async def test_a_reader_outlives_the_process(start: Start, elsewhere: Elsewhere) -> None:
    """Killed amid a stream; the environment starts another for the next request."""
    function = await start(STREAMING, {"retry_ms": 1000})
    async with Gateway([function]) as gateway, Reader(gateway.url, elsewhere.token, [A]) as reader:
        reader.retry_ms = 100
        published = await elsewhere.publish(A, 1, 2)
        await reader.has(2)
        await function.kill()
        published += await elsewhere.publish(A, 3)
        await reader.has(3)

    assert_each_once([reader], {A: published})
    assert function.starts == 2


async def test_many_streams_share_one_process(start: Start, elsewhere: Elsewhere) -> None:
    """On a Managed Instance, where an environment takes several invocations."""
    function = await start(STREAMING, timeout_s=MARGIN_S + 6, at_once=STREAMS)
    await function.start()
    streams = await asyncio.gather(*(elsewhere.stream(function, A) for _ in range(STREAMS)))
    await elsewhere.publish(A, *range(TICKS))
    for stream in streams:
        while stream.body.count(b"event: tick") < TICKS:
            assert await stream.until(len(stream.chunks))

    assert function.starts == 1
    assert len(function.api.open) == STREAMS


async def test_an_event_waits_for_a_process_that_lives(start: Start) -> None:
    """A killed runtime's poll must not swallow it: that is the test server's own promise."""
    function = await start(STREAMING)
    await get(function, "/api/health/live")
    await function.api.until_polled()
    await function.kill()
    answer = await get(function, "/api/health/live")

    assert answer.prelude["statusCode"] == 200
    assert function.starts == 2


async def get(function: ExecutionEnvironment, path: str) -> Invocation:
    return await (await function.invoke(function_url(path.rstrip("?"), [], {}))).ended()
