"""The store of jobs on the real local store, and builders of jobs."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import pytest

from api.events.publisher import Draft
from api.events.retention import Retention as TopicRetention
from api.events.retention import Retentions
from api.events.topic import TopicName
from api.jobs.hints import Hints
from api.jobs.job import Job, job_id_of
from api.jobs.store import JobStore
from api.jobs.writes import Retention, Writes
from api.telemetry.meter import CommandMeter
from api.upstash import UpstashClient
from tests.support.upstash_server import UpstashServer
from tests.unit.security.support import FakeClock, counting_ids

KEEP = Retention(result_s=86_400, failed_s=604_800, gone_s=86_400, queue_s=86_400)

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
        hints = Hints(clock=self.clock, rng=random.Random(1))
        topics = Retentions(TopicRetention(max_events=1000, ttl_s=3600, idempotency_ttl_s=60))
        self.store = JobStore(
            redis=self.redis,
            writes=Writes(KEEP, topics, hints, lambda _: self.announced),
            clock=self.clock,
            new_id=self.ids,
            tell=self._tell,
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
