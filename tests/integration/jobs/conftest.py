"""The store of jobs on the real local store, and builders of jobs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, cast

import httpx
import pytest
from pydantic import BaseModel, PositiveInt
from structlog.testing import capture_logs

from api.events import Deadlines
from api.jobs.model.handlers import JobContext, job
from api.jobs.store.store import JobStore
from api.telemetry.meter import CommandMeter
from api.upstash import UpstashClient
from tests.integration.jobs.bench import Bench
from tests.integration.jobs.process import Process
from tests.support.asgi_reader import AsgiConnection
from tests.support.client import Stream
from tests.support.instances import Instance, running, settings_for
from tests.support.upstash_server import UpstashServer

Bill = Callable[[], dict[str, int]]


@pytest.fixture
async def bench(upstash: UpstashServer) -> AsyncIterator[Bench]:
    meter = CommandMeter()
    client = UpstashClient(upstash.url, upstash.token, timeout_s=10, meter=meter)
    yield Bench(client, meter)
    await client.close()


@pytest.fixture
def process(bench: Bench) -> Process:
    return Process(bench)


@pytest.fixture
def unwritten_logs() -> Iterator[None]:
    """Pretty tracebacks take longer than the tests."""
    with capture_logs():
        yield


@pytest.fixture
def bill(upstash: UpstashServer) -> Bill:
    """The commands since it was last asked."""

    def bill() -> dict[str, int]:
        commands = upstash.meter().commands
        upstash.reset_meter()
        return commands

    return bill


class Report(BaseModel):
    """What a report is made of."""

    rows: PositiveInt = 1


@job("report", input=Report, result=Report)
async def report(_: JobContext, data: Report) -> Report:
    """Counts rows."""
    return data


class Caller:
    """A user of an instance, with the jobs API at hand."""

    def __init__(self, instance: Instance, user: str, *roles: str) -> None:
        sessions = instance.services.security.sessions
        token = sessions.issue(user, roles=list(roles), grants={}, ttl_s=600)
        self.user = user
        self.instance = instance
        self.headers = {"Authorization": f"Bearer {token}"}
        self.app = cast(Any, instance.app)  # both sides name ASGI's types their own way
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app),
            base_url="http://localhost",
            headers=self.headers,
            timeout=30,
        )

    async def create(self, rows: int = 1, *, key: str = "", **headers: str) -> httpx.Response:
        if key:
            headers["Idempotency-Key"] = key
        body = {"type": "report", "input": {"rows": rows}}
        return await self.http.post("/api/jobs", json=body, headers=headers)

    async def created(self) -> str:
        job_id: str = (await self.create()).raise_for_status().json()["id"]
        return job_id

    async def read(
        self, job_id: str, *, etag: str = "", prefer: str = "", **query: Any
    ) -> httpx.Response:
        headers = {"If-None-Match": etag} if etag else {}
        if prefer:
            headers["Prefer"] = prefer
        return await self.http.get(f"/api/jobs/{job_id}", params=query, headers=headers)

    async def act(self, job_id: str, what: str) -> httpx.Response:
        return await self.http.post(f"/api/jobs/{job_id}/{what}")

    async def ask(self, path: str = "", *, etag: str = "", **query: Any) -> httpx.Response:
        headers = {"If-None-Match": etag} if etag else {}
        return await self.http.get(f"/api/jobs{path}", params=query, headers=headers)

    def stream(self, job_id: str, version: int | None = None) -> Stream:
        headers = {**self.headers, "Accept": "text/event-stream"}
        if version is not None:
            headers["Last-Event-ID"] = str(version)
        return Stream(AsgiConnection(self.app, f"/api/jobs/{job_id}/events", [], headers))


@dataclass
class Site:
    """Instances on one store, and those who call them."""

    server: UpstashServer
    stack: AsyncExitStack

    async def start(self, deadlines: Deadlines | None = None, **changes: Any) -> Instance:
        settings = settings_for(self.server, **{"example_jobs": False, **changes})
        instance = await self.stack.enter_async_context(running(settings, deadlines))
        instance.services.jobs.registry.add(report)
        return instance

    def caller(self, instance: Instance, user: str = "alice", *roles: str) -> Caller:
        caller = Caller(instance, user, *roles)
        self.stack.push_async_callback(caller.http.aclose)
        return caller


@pytest.fixture
async def site(upstash: UpstashServer) -> AsyncIterator[Site]:
    async with AsyncExitStack() as stack:
        yield Site(upstash, stack)


@pytest.fixture
async def instance(site: Site) -> Instance:
    return await site.start()


@pytest.fixture
def store(instance: Instance) -> JobStore:
    """Of the same process; what it writes is known there at once."""
    return instance.services.jobs.store


@pytest.fixture
def alice(site: Site, instance: Instance) -> Caller:
    return site.caller(instance)


@pytest.fixture
def bob(site: Site, instance: Instance) -> Caller:
    return site.caller(instance, "bob")
