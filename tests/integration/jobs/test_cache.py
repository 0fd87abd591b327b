"""What a process knows of jobs, in the face of others who change them."""

from __future__ import annotations

import asyncio

import pytest

from api.jobs.model.job import JobId
from api.jobs.store import layout
from api.jobs.store.cache import FRESH_S, MAX_JOBS, JobCache
from api.jobs.store.store import JobChanges
from tests.integration.jobs.bench import Bench
from tests.integration.jobs.conftest import Bill
from tests.support.upstash_server import UpstashServer
from tests.unit.security.support import FakeClock


@pytest.fixture
def time() -> FakeClock:
    return FakeClock()


@pytest.fixture
def cache(bench: Bench, time: FakeClock) -> JobCache:
    others = JobChanges(bench.store.changes.stored)
    return JobCache(bench.store, others, monotonic=time)


async def test_a_job_is_read_once_in_a_window(
    cache: JobCache, bench: Bench, time: FakeClock, bill: Bill
):
    """And again at its end."""
    job = await bench.created()
    await bench.store.start(job.id, lease_s=60)
    bill()
    for _ in range(3):
        await cache.get(job.id)
    once = bill()
    time.advance(FRESH_S + 0.01)
    await cache.get(job.id)

    assert (once, bill()) == ({"HMGET": 1}, {"HMGET": 1})


async def test_what_somebody_has_heard_of_is_not_answered_from_before(
    cache: JobCache, bench: Bench, upstash: UpstashServer
):
    """Neither from memory, nor by a read that began before the change."""
    job = await bench.created()
    upstash.faults(rtt_ms=200)
    early = asyncio.create_task(cache.get(job.id))
    await asyncio.sleep(0.12)  # it has been executed, and its reply is under way
    upstash.clear_faults()
    await bench.store.start(job.id, lease_s=60)
    assert not early.done()
    heard_of = await cache.get(job.id, at_least=2)
    before = await early

    assert before is not None
    assert heard_of is not None
    assert (before.job.version, heard_of.job.version) == (1, 2)
    assert await cache.get(job.id, at_least=2) is heard_of


async def test_a_read_that_began_too_early_is_not_shared(
    cache: JobCache, bench: Bench, upstash: UpstashServer, time: FakeClock
):
    """Whoever wants what is there now starts another one; the old one spoils nothing."""
    job = await bench.created()
    upstash.faults(rtt_ms=200)
    early = asyncio.create_task(cache.get(job.id))
    await asyncio.sleep(0.12)
    upstash.clear_faults()
    await bench.store.start(job.id, lease_s=60)
    assert not early.done()
    now = time()
    time.advance(0.01)
    late = await cache.get(job.id, since=now)
    seen = await early

    assert late is not None
    assert seen is not None
    assert late.job.version == seen.job.version == 2  # memory knew better by then
    assert cache.find_fresh(job.id) is late


async def test_a_reader_who_goes_does_not_take_the_read_away(
    cache: JobCache, bench: Bench, upstash: UpstashServer
):
    """Others may wait for it."""
    job = await bench.created()
    upstash.faults(rtt_ms=60)
    first = asyncio.create_task(cache.get(job.id))
    second = asyncio.create_task(cache.get(job.id))
    await asyncio.sleep(0.01)
    first.cancel()

    assert await second is not None
    assert first.cancelled()


async def test_an_older_version_never_takes_the_place_of_a_newer(cache: JobCache, bench: Bench):
    """As a replica that lags would bring it."""
    job = await bench.created()
    work = await bench.store.start(job.id, lease_s=60)
    cache.put(work.job)

    assert cache.put(job).job == work.job


async def test_failures_reach_all_who_wait_and_are_not_kept(
    cache: JobCache, bench: Bench, upstash: UpstashServer
):
    """The next one tries anew."""
    job = await bench.created()
    upstash.faults(quota=4)
    results = await asyncio.gather(*(cache.get(job.id) for _ in range(3)), return_exceptions=True)
    upstash.clear_faults()

    assert all(isinstance(one, Exception) for one in results)
    assert await cache.get(job.id) is not None


async def test_memory_is_bounded_and_forgets_what_was_read_longest_ago(
    cache: JobCache, bench: Bench
):
    first = await bench.created()
    cache.put(first)
    for number in range(MAX_JOBS):
        cache.put(bench.job(owner=f"u{number}"))

    assert cache.find_fresh(first.id) is None


async def test_what_is_gone_is_not_remembered(cache: JobCache, bench: Bench, time: FakeClock):
    job = await bench.created()
    await bench.store.start(job.id, lease_s=60)
    assert await cache.get(job.id) is not None
    await bench.redis.write("DEL", layout.job_key(job.id))
    time.advance(1)

    assert await cache.get(job.id) is None
    assert cache.find_fresh(job.id) is None
    assert await cache.get(JobId("job_nothing")) is None
