"""The store of jobs on the real local store, and builders of jobs."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, cast

import httpx
import pytest
from pydantic import BaseModel, PositiveInt

from api.events import Deadlines, Draft, Retention, Retentions, TopicName
from api.jobs.model.handlers import JobContext, job
from api.jobs.model.job import Job, job_id_of
from api.jobs.model.view import PollHints
from api.jobs.store.store import JobChanges, JobStore
from api.jobs.store.writes import JobLifetimes, Writes
from api.telemetry.meter import CommandMeter
from api.upstash import UpstashClient
from tests.support.asgi_reader import AsgiConnection
from tests.support.client import Stream
from tests.support.instances import Instance, running, settings_for
from tests.support.upstash_server import UpstashServer
from tests.unit.security.support import FakeClock, counting_ids

KEEP = JobLifetimes(result_s=86_400, failed_s=604_800, gone_s=86_400, queue_s=86_400)

Bill = Callable[[], dict[str, int]]


@dataclass
class Bench:
    """A store, its clock, and what it told others."""

    redis: UpstashClient
    meter: CommandMeter
    clock: FakeClock = field(default_factory=FakeClock)
    told: list[TopicName] = field(default_factory=list)
    announced: list[Draft] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ids = counting_ids("w")
        hints = PollHints(clock=self.clock, rng=random.Random(1))
        topics = Retentions(Retention(max_events=1000, ttl_s=3600, idempotency_ttl_s=60))
        self.store = JobStore(
            redis=self.redis,
            writes=Writes(KEEP, topics, hints, lambda _: self.announced),
            clock=self.clock,
            new_id=self.ids,
            changes=JobChanges(self._tell),
        )

    async def _tell(self, topics: Sequence[TopicName]) -> None:
        self.told += topics

    @property
    def now_ms(self) -> int:
        return int(self.clock() * 1000)

    def job(self, owner: str = "alice", type_: str = "report", max_attempts: int = 3) -> Job:
        return Job.new(
            job_id_of(self.now_ms, self.ids()),
            type_,
            owner=owner,
            at_ms=self.now_ms,
            max_attempts=max_attempts,
        )

    async def created(self, owner: str = "alice", *, max_attempts: int = 3) -> Job:
        job = self.job(owner, max_attempts=max_attempts)
        await self.store.create(job, '{"n":1}', idempotency=None, enqueue=True)
        return job


@pytest.fixture
async def bench(upstash: UpstashServer) -> AsyncIterator[Bench]:
    meter = CommandMeter()
    client = UpstashClient(upstash.url, upstash.token, timeout_s=10, meter=meter)
    yield Bench(client, meter)
    await client.close()


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
