"""A store of jobs with a clock of its own, and jobs in it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from api.events import Draft, Retention, Retentions, TopicName
from api.jobs.model.job import Job, JobError, JobId, job_id_of
from api.jobs.model.view import PollHints
from api.jobs.store import layout
from api.jobs.store.store import JobChanges, JobStore
from api.jobs.store.writes import JobLifetimes, Writes
from api.telemetry.meter import CommandMeter
from api.upstash import UpstashClient
from tests.unit.security.support import FakeClock, counting_ids

KEEP = JobLifetimes(result_s=86_400, failed_s=604_800, gone_s=86_400, queue_s=86_400)
FAILURE = JobError("boom", "It broke")


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


def an_id(seed: str = "a") -> JobId:
    return job_id_of(1, seed)


async def dead(bench: Bench) -> list[str]:
    entries = await bench.redis.read("XRANGE", layout.DEAD, "-", "+")
    return [fields[1] for _, fields in entries]


async def left(bench: Bench) -> tuple[int, int]:
    """Entries in the stream, and jobs that wait for their time."""
    stream, delayed = await bench.redis.pipeline(
        [("XLEN", layout.QUEUE), ("ZCARD", layout.DELAYED)], repeatable=True
    )
    return stream, delayed
