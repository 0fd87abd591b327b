"""A batch of SQS in one invocation: each record has an end of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel
from structlog.testing import capture_logs

from api.jobs import JobContext, job
from api.jobs.model.job import Job, job_id_of
from api.services import Services, build_services
from functions.batch import BatchHandler
from tests.support.foreign_errors import ends
from tests.support.instances import settings_for
from tests.support.job_queue import SentJobs
from tests.support.upstash_server import UpstashServer


class Context:
    def get_remaining_time_in_millis(self) -> int:
        return 60_000


class Wish(BaseModel):
    end: int | None = None
    """Which of the ends that are no exceptions."""


class Done(BaseModel):
    pass


@job("wish", input=Wish, result=Done, max_attempts=2, timeout_s=10)
async def wish(_: JobContext, data: Wish) -> Done:
    """End as it was wished."""
    if data.end is not None:
        raise ends()[data.end]
    return Done()


class Worker:
    """A function that works, and whoever gives it jobs."""

    def __init__(self, server: UpstashServer) -> None:
        self.queue = SentJobs()
        settings = settings_for(server, example_jobs=False)
        self.services: Services = build_services(settings, queue=self.queue)
        self.services.jobs.registry.add(wish)
        self.handler = BatchHandler(self.services.jobs.workers(), slots=5)
        self.loop = asyncio.get_event_loop_policy().get_event_loop()  # that of the handler

    def stored(self, wished: str) -> Job:
        now_ms = int(time.time() * 1000)
        store = self.services.jobs.store
        made = Job.new(
            job_id_of(now_ms, self.services.system.new_id()),
            "wish",
            owner="alice",
            at_ms=now_ms,
            max_attempts=2,
        )
        self.loop.run_until_complete(store.create(made, wished, idempotency=None, enqueue=False))
        return made

    def job(self, made: Job) -> Job:
        found = self.loop.run_until_complete(self.services.jobs.store.find(made.id))
        assert found is not None
        return found

    def close(self) -> None:
        for client in self.services.clients:
            self.loop.run_until_complete(client.close())
        self.loop.close()
        asyncio.set_event_loop(None)


@pytest.fixture
def worker(upstash: UpstashServer) -> Iterator[Worker]:
    worker = Worker(upstash)
    with capture_logs():
        yield worker
    worker.close()


def batch(*jobs: Job) -> dict[str, Any]:
    return {
        "Records": [
            {
                "messageId": made.id,
                "receiptHandle": made.id,
                "body": f'{{"job":"{made.id}"}}',
                "attributes": {"ApproximateReceiveCount": "1"},
            }
            for made in jobs
        ]
    }


def test_one_record_cannot_fail_another_whatever_its_handler_raises(worker: Worker) -> None:
    """SQS would deliver all of them again, and do what was done a second time."""
    bad = [worker.stored(f'{{"end":{number}}}') for number in range(len(ends()))]
    good = worker.stored("{}")

    kept = worker.handler(batch(*bad, good), Context())["batchItemFailures"]

    assert kept == []
    assert worker.job(good).status == "succeeded"
    assert {worker.job(one).status for one in bad} == {"queued"}
    assert sorted(worker.queue.jobs) == sorted(one.id for one in bad)


def test_a_record_whose_end_breaks_is_kept_alone(worker: Worker) -> None:
    """What cannot be told comes again; the other records do not."""
    bad, good = worker.stored('{"end":0}'), worker.stored("{}")
    worker.queue.breaks_for = bad.id

    kept = worker.handler(batch(bad, good), Context())["batchItemFailures"]

    assert kept == [{"itemIdentifier": bad.id}]
    assert worker.job(good).status == "succeeded"


def test_the_schedule_runs_the_sweep(worker: Worker) -> None:
    """A function without messages is not invoked, so a job that SQS never had needs a schedule."""
    answer = worker.handler({"source": "aws.events"}, Context())

    assert answer == {"sent": 0}
