"""The promise of the whole project, through functions that freeze, end and die at random."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import strategies as st

from api.services import Services
from functions.deadline import MARGIN_S
from tests.support.execution_environment import (
    BUFFERED,
    STREAMING,
    ExecutionEnvironment,
    variables,
)
from tests.support.gateway_events import function_url
from tests.support.instances import Instance, settings_for
from tests.support.runtime_api import Invocation
from tests.support.schedules import INSTANCES, STEPS, check_schedules
from tests.support.upstash_server import UpstashServer

SCHEDULES = 30
LIFE_S = 0.6
SHARED, CLASSIC = 64, 3
# A process takes long to start: one in so many steps kills one.
KILLS = 25

step = st.integers(1, KILLS).flatmap(
    lambda number: (
        STEPS["restart"]
        if number == KILLS
        else st.one_of(*(one for name, one in STEPS.items() if name != "restart"))
    )
)


class Function:
    """A function behind its URL, as the schedules see a server."""

    def __init__(self, environments: Sequence[ExecutionEnvironment], token: str) -> None:
        self.environments = environments
        self._token = token

    def token(self) -> str:
        return self._token

    @property
    def app(self) -> Callable[..., Any]:
        return self._serve

    async def kill(self) -> None:
        """In the midst of all that they do."""
        for one in self.environments:
            await one.kill()

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        """A client that leaves does not interrupt the function."""
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        query = parse_qsl(scope["query_string"].decode())
        environment = await self._idle()
        invocation = await environment.invoke(function_url(scope["path"], query, headers))
        passing = asyncio.create_task(_pass_on(invocation, send))
        leaving = asyncio.create_task(_until_gone(receive))
        await asyncio.wait([passing, leaving], return_when=asyncio.FIRST_COMPLETED)
        for task in (passing, leaving):
            task.cancel()
        await asyncio.wait([passing, leaving])
        invocation.reads.set()

    async def _idle(self) -> ExecutionEnvironment:
        while not (idle := [one for one in self.environments if one.is_idle]):
            await asyncio.sleep(0.01)
        return idle[0]


async def _until_gone(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _pass_on(invocation: Invocation, send: Any) -> None:
    """All chunks as they come; while the client takes none, Lambda is not read from either."""
    if not await invocation.until(1) and not invocation.chunks:
        await send({"type": "http.response.start", "status": 502, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    size = 2
    if not invocation.is_streamed:
        answer = invocation.prelude
        await send({"type": "http.response.body", "body": answer["body"].encode()})
        return
    while await invocation.until(size):
        invocation.reads.clear()
        part = b"".join(invocation.chunks[size:])
        size = len(invocation.chunks)
        await send({"type": "http.response.body", "body": part, "more_body": True})
        invocation.reads.set()
    await send({"type": "http.response.body", "body": b""})


class Functions:
    """Two functions that share their processes, one of them slow; one that does not; Mangum."""

    def __init__(self, server: UpstashServer) -> None:
        self.server = server
        self.numbers = itertools.count()
        self.runner = asyncio.Runner()
        self.streaming: list[Function] = []
        self._stack = AsyncExitStack()
        self.runner.run(self._start())

    @property
    def services(self) -> Services:
        return self._elsewhere.services

    async def restart(self, number: int) -> None:
        await self.streaming[number].kill()

    def close(self) -> None:
        environments = [
            one for function in [*self.streaming, self.buffered] for one in function.environments
        ]
        self.runner.run(self._stack.aclose())
        self.runner.close()
        for one in environments:
            assert "Traceback" not in one.complaints, one.complaints

    async def _start(self) -> None:
        self._elsewhere = await Instance(settings_for(self.server)).start()
        self._stack.push_async_callback(self._elsewhere.stop)
        slow = {"poll_min_ms": 120, "poll_idle_ms": 120}
        shared = {"timeout_s": MARGIN_S + LIFE_S, "at_once": SHARED}
        classic = {"timeout_s": MARGIN_S + LIFE_S, "freezes": True}
        self.streaming = [
            await self._function(STREAMING, 1, {"doorbell": True}, **shared),
            await self._function(STREAMING, 1, slow, **shared),
            await self._function(STREAMING, CLASSIC, {}, **classic),
        ]
        assert len(self.streaming) == INSTANCES
        self.buffered = await self._function(BUFFERED, 1, {"window_s": 0.05}, freezes=True)

    async def _function(
        self, command: Sequence[str], count: int, settings: dict[str, Any], **options: Any
    ) -> Function:
        # The smallest backlog, so that stalled readers really overflow.
        env = variables(self.server, lag_max_bytes=65_536, **settings)
        environments = [ExecutionEnvironment(command, env, **options) for _ in range(count)]
        for one in environments:
            await self._stack.enter_async_context(one)
        return Function(environments, self._elsewhere.token())


@pytest.fixture(scope="module")
def cluster(upstash_server: UpstashServer) -> Iterator[Functions]:
    upstash_server.reset()
    cluster = Functions(upstash_server)
    yield cluster
    cluster.close()


def test_any_schedule_through_functions_delivers_each_event_once_or_says_reset(
    cluster: Functions,
) -> None:
    """Streams end after half a second, processes freeze between two and are killed in them."""
    check_schedules(cluster, SCHEDULES, [step])
