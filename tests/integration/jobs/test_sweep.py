"""Jobs that were stored and never sent, because their process died between the two."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from api.jobs.model.job import Job
from api.jobs.model.queue import QueueError
from api.jobs.store import layout
from api.jobs.work.sweep import GRACE_S, Sweep
from tests.integration.jobs.bench import Bench
from tests.integration.jobs.conftest import Bill, Caller
from tests.support.instances import Instance
from tests.support.job_queue import SentJobs, queue_elsewhere


@pytest.fixture
def queue() -> SentJobs:
    return SentJobs()


@pytest.fixture
def sweep(bench: Bench, queue: SentJobs) -> Sweep:
    bench.store.writes = replace(bench.store.writes, queue_is_elsewhere=True)
    return Sweep(bench.store, queue)


async def orphan(bench: Bench) -> Job:
    """A job whose process died as soon as it was stored."""
    made = await bench.created()
    bench.clock.advance(GRACE_S + 1)
    return made


async def test_a_job_that_was_stored_and_never_sent_is_sent_once(
    bench: Bench, sweep: Sweep, queue: SentJobs
) -> None:
    """However many sweep, and however often."""
    made = await orphan(bench)

    await asyncio.gather(sweep.run(), sweep.run())
    bench.clock.advance(GRACE_S + 1)
    await sweep.run()

    assert queue.jobs == [made.id]


async def test_a_job_that_was_sent_is_not_sent_again(
    bench: Bench, sweep: Sweep, queue: SentJobs, bill: Bill
) -> None:
    """It may wait in the queue for long. A sweep that finds nothing costs two commands."""
    await bench.store.sent(await orphan(bench))
    bill()

    assert await sweep.run() == 0
    assert queue.jobs == []
    assert bill() == {"EVAL": 1, "ZRANGE": 1}


async def test_a_job_that_is_just_being_sent_is_left_alone(
    bench: Bench, sweep: Sweep, queue: SentJobs
) -> None:
    """Its request may still send it."""
    await bench.created()

    assert await sweep.run() == 0


async def test_a_job_that_has_changed_since_is_not_sent(
    bench: Bench, sweep: Sweep, queue: SentJobs
) -> None:
    """The queue had it after all, or its owner has cancelled it; and it is not looked at again."""
    made = await orphan(bench)
    await bench.store.start(made.id, lease_s=30)

    assert await sweep.run() == 0
    assert queue.jobs == []
    assert await bench.redis.read("ZCARD", layout.UNSENT) == 0


async def test_a_queue_that_is_away_is_tried_again_by_a_later_sweep(
    bench: Bench, sweep: Sweep, queue: SentJobs
) -> None:
    """The mark of the job stays until the queue has it."""
    made = await orphan(bench)
    queue.failures = 1
    with pytest.raises(QueueError):
        await sweep.run()
    bench.clock.advance(GRACE_S + 1)

    assert await sweep.run() == 1
    assert queue.jobs == [made.id]


async def test_what_a_request_has_sent_leaves_nothing_to_sweep(
    alice: Caller, instance: Instance
) -> None:
    """Neither a new job nor a retry."""
    queue = queue_elsewhere(instance)
    job_id = await alice.created()
    await alice.act(job_id, "cancel")
    await alice.act(job_id, "retry")

    assert queue.jobs == [job_id, job_id]
    assert await instance.services.redis.read("ZCARD", layout.UNSENT) == 0


async def test_where_redis_is_the_queue_there_is_nothing_to_sweep(bench: Bench) -> None:
    """One script stores the job and queues it."""
    await bench.created()

    assert await bench.redis.read("XLEN", layout.QUEUE) == 1
    assert await bench.redis.read("EXISTS", layout.UNSENT) == 0
