"""The streaming function as a process, started as Lambda starts it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.execution_environment import STREAMING, ExecutionEnvironment, variables
from tests.support.gateway_events import function_url
from tests.support.upstash_server import UpstashServer


@pytest.fixture
async def function(upstash: UpstashServer) -> AsyncIterator[ExecutionEnvironment]:
    async with ExecutionEnvironment(STREAMING, variables(upstash)) as one:
        yield one
    assert "Traceback" not in one.complaints, one.complaints


async def test_a_json_answer_passes_the_same_way(function: ExecutionEnvironment) -> None:
    """One function serves streams and everything else."""
    answer = await (await function.invoke(function_url("/api/health", [], {}))).ended()

    assert answer.prelude["statusCode"] == 200
    assert answer.prelude["headers"]["content-type"] == "application/json"
    assert answer.body == b'{"status":"ok","parts":["redis"]}'
