"""Execution environments on the real store, and somebody elsewhere who publishes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import pytest

from api.events import TopicName
from tests.support.execution_environment import ExecutionEnvironment, variables
from tests.support.gateway_events import function_url
from tests.support.instances import Instance, running, settings_for
from tests.support.runtime_api import Invocation
from tests.support.upstash_server import UpstashServer

Start = Callable[..., Awaitable[ExecutionEnvironment]]


@pytest.fixture
async def start(upstash: UpstashServer) -> AsyncIterator[Start]:
    """Gives environments, cold; `settings` are the application's. None of them complained."""
    environments: list[ExecutionEnvironment] = []
    async with AsyncExitStack() as stack:

        async def start(
            command: Sequence[str],
            settings: dict[str, Any] | None = None,
            env: dict[str, str] | None = None,
            **options: Any,
        ) -> ExecutionEnvironment:
            variables_of = variables(upstash, **(settings or {})) | (env or {})
            one = ExecutionEnvironment(command, variables_of, **options)
            environments.append(one)
            return await stack.enter_async_context(one)

        yield start
    for one in environments:
        assert "Traceback" not in one.complaints, one.complaints


class Elsewhere:
    """Another process of the same deployment, for all that a function can tell."""

    def __init__(self, instance: Instance) -> None:
        self._log = instance.services.streaming.log
        self.token = instance.token()
        self.headers = {"authorization": f"Bearer {self.token}"}

    async def publish(self, topic: str, *data: Any) -> list[str]:
        """Store events; returns their ids."""
        name = TopicName(topic)
        entries = [(name, json.dumps({"type": "tick", "data": one})) for one in data]
        return [str(one) for one in await self._log.append(entries)]

    async def ask(self, function: ExecutionEnvironment, topic: str, cursor: str = "") -> Invocation:
        """An invocation that reads `topic`, from `cursor` or from now on."""
        headers = self.headers | {"accept": "text/event-stream"}
        if cursor:
            headers["last-event-id"] = cursor
        return await function.invoke(function_url("/api/events", [("topic", topic)], headers))

    async def stream(
        self, function: ExecutionEnvironment, topic: str, cursor: str = ""
    ) -> Invocation:
        """As `ask`; returns when the stream has begun."""
        invocation = await self.ask(function, topic, cursor)
        while b"event: connected" not in invocation.body:
            assert await invocation.until(len(invocation.chunks)), invocation
        return invocation


@pytest.fixture
async def elsewhere(upstash: UpstashServer) -> AsyncIterator[Elsewhere]:
    async with running(settings_for(upstash)) as instance:
        yield Elsewhere(instance)
