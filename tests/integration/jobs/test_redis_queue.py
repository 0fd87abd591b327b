"""The queue in Redis: each entry with one worker at a time, and with the next when that dies."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

import pytest

from api.events import Pace
from api.jobs.model.job import JobId
from api.jobs.store import layout
from api.jobs.work.redis_queue import OUTLIVES_LEASE, RedisQueue
from tests.integration.jobs.bench import Bench, an_id, dead, left
from tests.support.upstash_server import UpstashServer
from tests.unit.security.support import counting_ids

LEASE_S = 0.4
DEAD_AFTER_S = LEASE_S * OUTLIVES_LEASE + 0.05

MakeQueue = Callable[[], RedisQueue]


@pytest.fixture
def make_queue(bench: Bench) -> MakeQueue:
    """Queues of different processes: each looks for the dead and the due whenever it is asked."""
    names = counting_ids("worker")

    def make() -> RedisQueue:
        return RedisQueue(
            bench.redis,
            lease_s=LEASE_S,
            pace=Pace(shortest_s=0.01, longest_s=0.05, longest_with_doorbell_s=0.05),
            awake=asyncio.Event(),
            clock=bench.clock,
            monotonic=bench.clock,
            rng=random.Random(1),
            new_id=names,
        )

    return make


@pytest.fixture
def queue(make_queue: MakeQueue) -> RedisQueue:
    return make_queue()


async def test_each_job_is_delivered_once(make_queue: MakeQueue) -> None:
    """Two workers share what there is, in order, and the limit of each holds."""
    first, second = make_queue(), make_queue()
    wanted = [an_id(str(n)) for n in range(5)]
    for job_id in wanted:
        await first.enqueue(job_id)

    one = await first.claim(3, wait_s=0)
    other = await second.claim(3, wait_s=0)

    assert [d.job_id for d in [*one, *other]] == wanted
    assert {d.receives for d in [*one, *other]} == {1}


async def test_a_job_that_was_queued_before_the_first_worker_came_is_delivered(
    bench: Bench, queue: RedisQueue
) -> None:
    """The API may be up for days before somebody starts a worker."""
    job = await bench.created()

    (delivery,) = await queue.claim(1, wait_s=0)

    assert delivery.job_id == job.id


async def test_an_entry_of_a_dead_worker_comes_to_another_and_is_counted(
    make_queue: MakeQueue,
) -> None:
    """Nobody kept it alive, so somebody else gets it, who sees how often that was."""
    dying, living = make_queue(), make_queue()
    await dying.enqueue(an_id())
    await dying.claim(1, wait_s=0)
    assert await living.claim(1, wait_s=0) == []
    await asyncio.sleep(DEAD_AFTER_S)

    (delivery,) = await make_queue().claim(1, wait_s=0)

    assert (delivery.job_id, delivery.receives) == (an_id(), 2)


async def test_a_heartbeat_keeps_an_entry_and_does_not_count(make_queue: MakeQueue) -> None:
    """A worker that lives keeps its job for as long as it likes."""
    queue = make_queue()
    await queue.enqueue(an_id())
    (delivery,) = await queue.claim(1, wait_s=0)
    for _ in range(3):
        await asyncio.sleep(DEAD_AFTER_S * 0.6)
        await queue.heartbeat(delivery, lease_s=LEASE_S)
        assert await make_queue().claim(1, wait_s=0) == []

    await asyncio.sleep(DEAD_AFTER_S)
    (again,) = await make_queue().claim(1, wait_s=0)

    assert again.receives == 2


async def test_what_is_done_leaves_nothing_behind(bench: Bench, queue: RedisQueue) -> None:
    """The stream does not grow with the jobs that were ever done."""
    await queue.enqueue(an_id())
    (delivery,) = await queue.claim(1, wait_s=0)

    await queue.done(delivery)

    assert await left(bench) == (0, 0)
    summary = await bench.redis.read("XPENDING", layout.QUEUE, "workers")
    assert summary[0] == 0


async def test_what_is_released_comes_again_at_once_and_counts_from_one(
    bench: Bench, queue: RedisQueue
) -> None:
    """A worker that hands a job back did not die of it."""
    await queue.enqueue(an_id())
    (delivery,) = await queue.claim(1, wait_s=0)

    await queue.release(delivery, delay_s=0)
    (again,) = await queue.claim(1, wait_s=0)

    assert (again.job_id, again.receives) == (an_id(), 1)
    assert await left(bench) == (1, 0)


async def test_what_is_released_for_later_comes_when_it_is_due(
    bench: Bench, make_queue: MakeQueue
) -> None:
    """Neither before nor never, whoever asks."""
    queue = make_queue()
    await queue.enqueue(an_id())
    (delivery,) = await queue.claim(1, wait_s=0)

    await queue.release(delivery, delay_s=60)
    assert await queue.claim(1, wait_s=0) == []
    assert await left(bench) == (0, 1)
    bench.clock.advance(59)
    assert await make_queue().claim(1, wait_s=0) == []
    bench.clock.advance(1)
    (again,) = await make_queue().claim(1, wait_s=0)

    assert again.job_id == an_id()
    assert await left(bench) == (1, 0)


async def test_many_that_are_due_at_once_all_come(bench: Bench, queue: RedisQueue) -> None:
    """More than one script moves at a time."""
    wanted = {an_id(str(n)) for n in range(250)}
    for job_id in wanted:
        await queue.enqueue(job_id, delay_s=1)
    bench.clock.advance(2)

    found: set[JobId] = set()
    while deliveries := await queue.claim(100, wait_s=0):
        found |= {delivery.job_id for delivery in deliveries}

    assert found == wanted


async def test_an_entry_that_is_no_job_is_put_aside_and_the_others_come(
    bench: Bench, queue: RedisQueue
) -> None:
    """Somebody else's entry does not stop the queue."""
    await bench.redis.write("XADD", layout.QUEUE, "*", "other", "field")
    await bench.redis.write("XADD", layout.QUEUE, "*", layout.QUEUE_FIELD, "no job id")
    await queue.enqueue(an_id())

    deliveries = await queue.claim(5, wait_s=0)

    assert [delivery.job_id for delivery in deliveries] == [an_id()]
    assert await dead(bench) == ["", "no job id"]
    assert await left(bench) == (1, 0)


async def test_what_is_buried_is_where_operators_look(bench: Bench, queue: RedisQueue) -> None:
    """And nowhere else."""
    await queue.enqueue(an_id())
    (delivery,) = await queue.claim(1, wait_s=0)

    await queue.to_dead_letters(delivery)

    assert await dead(bench) == [an_id()]
    assert await left(bench) == (0, 0)


async def test_an_idle_claim_is_woken_by_an_enqueue_of_its_process(
    bench: Bench, make_queue: MakeQueue
) -> None:
    """Though its pace has slowed down to a minute."""
    queue = make_queue()
    queue._pace = Pace(shortest_s=60, longest_s=60, longest_with_doorbell_s=60, pause_s=60)
    claiming = asyncio.create_task(queue.claim(1, wait_s=120))
    await asyncio.sleep(0.05)
    assert not claiming.done()

    await queue.enqueue(an_id())

    async with asyncio.timeout(2):
        assert [delivery.job_id for delivery in await claiming] == [an_id()]


async def test_a_claim_that_is_cancelled_gives_back_what_it_got(
    upstash: UpstashServer, bench: Bench, make_queue: MakeQueue
) -> None:
    """Its request was under way, and the answer brings a job that nobody waits for."""
    queue = make_queue()
    await queue.claim(1, wait_s=0)
    await queue.enqueue(an_id())
    upstash.faults(rtt_ms=200)
    claiming = asyncio.create_task(queue.claim(1, wait_s=5))
    await asyncio.sleep(0.05)

    claiming.cancel()
    await asyncio.wait([claiming])
    upstash.clear_faults()

    assert claiming.cancelled()
    (delivery,) = await make_queue().claim(1, wait_s=0)
    assert (delivery.job_id, delivery.receives) == (an_id(), 1)


async def test_a_database_that_was_emptied_is_joined_again(
    upstash: UpstashServer, queue: RedisQueue
) -> None:
    """A worker does not need to be started anew."""
    await queue.claim(1, wait_s=0)
    upstash.flush()

    assert await queue.claim(1, wait_s=0) == []
    await queue.enqueue(an_id())

    assert len(await queue.claim(1, wait_s=0)) == 1


async def test_workers_that_are_gone_for_a_day_are_forgotten_unless_they_hold_an_entry(
    bench: Bench, make_queue: MakeQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each start makes a name; a name with entries must stay until these are claimed."""
    monkeypatch.setattr("api.jobs.work.redis_queue.FORGET_CONSUMER_MS", 50)
    idle, holding = make_queue(), make_queue()
    await idle.claim(1, wait_s=0)
    await idle.enqueue(an_id())
    await holding.claim(1, wait_s=0)
    await asyncio.sleep(0.1)

    await make_queue().claim(1, wait_s=0)

    consumers = await bench.redis.read("XINFO", "CONSUMERS", layout.QUEUE, "workers")
    assert {one[1] for one in consumers} == {"worker-2", "worker-3"}


async def test_an_idle_claim_is_one_command(
    upstash: UpstashServer, bench: Bench, queue: RedisQueue
) -> None:
    """Dead workers and due jobs are looked for now and then only."""
    await queue.claim(1, wait_s=0)
    upstash.reset_meter()

    for _ in range(5):
        await queue.claim(1, wait_s=0)

    assert upstash.meter().commands == {"XREADGROUP": 5}
