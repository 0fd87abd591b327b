"""The runtime loop on Managed Instances: several invocations in one process."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import pytest
import structlog

from functions.runtime.invocation import TRACE_ID
from tests.integration.functions.serving import begin, say, serving
from tests.support.gateway_events import function_url

STREAMS = 50
TICKS = 10
TICK_S = 0.05
EVENT = function_url("/", [], {})


async def test_as_many_streams_as_allowed_share_one_process() -> None:
    """AWS_LAMBDA_MAX_CONCURRENCY polls, one loop, nobody waits for another."""

    async def ticking(scope: Any, receive: Any, send: Any) -> None:
        await begin(send)
        for _ in range(TICKS):
            await asyncio.sleep(TICK_S)
            await say(send, ".")
        await say(send, "", more=False)

    async with serving(ticking, at_once=STREAMS) as api:
        began = time.perf_counter()
        invocations = [await api.invoke(EVENT) for _ in range(STREAMS)]
        answers = [await one.ended() for one in invocations]
        lasted_s = time.perf_counter() - began
        await api.until_polled()

    assert {answer.body for answer in answers} == {b"." * TICKS}
    assert lasted_s < 4 * TICKS * TICK_S


async def test_each_has_its_own_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    """In its context and in its log lines; the environment would be everybody's."""
    monkeypatch.delenv("_X_AMZN_TRACE_ID", raising=False)
    all_here = asyncio.Barrier(3)
    bound: dict[str, Any] = {}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async with all_here:
            request_id = scope["aws.context"].aws_request_id
            bound[request_id] = structlog.contextvars.get_contextvars()
        await begin(send)
        await say(send, TRACE_ID.get() or "", more=False)

    async with serving(app, at_once=3) as api:
        invocations = [await api.invoke(EVENT) for _ in range(3)]
        answers = [await one.ended() for one in invocations]

    for answer in answers:
        trace = f"Root=1-{answer.id[:8]}"
        assert answer.body == trace.encode()
        assert bound[answer.id] == {"aws_request_id": answer.id, "trace_id": trace}
    assert "_X_AMZN_TRACE_ID" not in os.environ
    assert structlog.contextvars.get_contextvars() == {}
