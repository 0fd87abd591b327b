"""What is read of jobs, and what each act on them costs."""

from __future__ import annotations

import asyncio
import json

import pytest

from api.jobs.model.job import Progress
from api.jobs.store.layout import Busy
from api.jobs.store.listing import ids_of
from api.jobs.store.store import Idempotency
from tests.integration.jobs.bench import FAILURE, Bench
from tests.integration.jobs.conftest import Bill
from tests.support.upstash_server import UpstashServer


async def test_the_list_is_stable_while_jobs_are_added(bench: Bench):
    """Also for jobs of the same millisecond."""
    jobs = [await bench.created() for _ in range(25)]
    bench.clock.advance(1)
    jobs += [await bench.created() for _ in range(5)]
    wanted = sorted((job.id for job in jobs), reverse=True)

    seen, before = [], None
    while page := await ids_of(bench.store, "alice", before, 4):
        seen += page
        before = page[-1]
        bench.clock.advance(1)
        await bench.created()

    assert seen == wanted


async def test_positions_count_who_waits_before(bench: Bench):
    jobs = []
    for _ in range(3):
        jobs.append(await bench.created())
        bench.clock.advance(1)
    await bench.store.start(jobs[0].id, lease_s=30)

    assert [await bench.store.position(job) for job in jobs] == [None, 0, 1]


async def test_a_hundred_jobs_take_one_round_trip(bench: Bench, upstash: UpstashServer):
    """A reply costs 50 ms here; two would take 100."""
    ids = [(await bench.created()).id for _ in range(100)]
    upstash.faults(rtt_ms=150)
    began = asyncio.get_running_loop().time()
    found = await bench.store.find_many(ids)
    took_s = asyncio.get_running_loop().time() - began

    assert list(found) == ids
    assert took_s < 0.3


async def test_results_travel_with_the_job_or_stand_beside_it(bench: Bench):
    """64 kB decide."""
    texts = {}
    for size in (65_534, 65_535):
        job = await bench.created()
        started = await bench.store.start(job.id, lease_s=30)
        text = json.dumps("x" * size)
        await bench.store.change(
            job.id, lambda j: j.succeeded(bench.now_ms), token=started.token, result_json=text
        )
        found = await bench.store.find(job.id)
        assert found is not None
        assert await bench.store.result(found) == text
        texts[size] = found.result
    assert texts == {65_534: json.dumps("x" * 65_534), 65_535: None}


async def test_what_each_act_costs(bench: Bench, bill: Bill):
    """Reads are one command; a change is the script and what it writes."""
    job = await bench.created()
    created = sum(bill().values())
    await bench.store.find(job.id)
    await bench.store.position(job)
    read = bill()
    started = await bench.store.start(job.id, lease_s=30)
    bill()
    await bench.store.change(
        job.id, lambda j: j.progressed(Progress(1, 2)), token=started.token, known=started.job
    )
    progress = bill()
    await bench.store.renew(job.id, started.token, lease_s=30)

    assert created <= 15
    assert read == {"HMGET": 1, "ZRANK": 1}
    assert progress == {"EVAL": 1, "HMGET": 1, "HSET": 1, "XADD": 1}
    assert bill() == {"EVAL": 1, "HMGET": 1, "HSET": 1}


async def test_the_bill_is_what_the_server_counts(bench: Bench, bill: Bill):
    """Our own meter, over a whole life with conflicts and refusals."""
    job = await bench.created()
    started = await bench.store.start(job.id, lease_s=30)
    with pytest.raises(Busy):
        await bench.store.start(job.id, lease_s=30)
    await asyncio.gather(
        *(bench.store.change(job.id, lambda j: j.cancel_asked(1)) for _ in range(3)),
        bench.store.renew(job.id, started.token, lease_s=30),
    )
    await bench.store.change(job.id, lambda j: j.failed(1, FAILURE), token=started.token)
    for _ in range(2):
        once = Idempotency("k", "print", 60)
        await bench.store.create(bench.job(), "{}", idempotency=once, enqueue=False)

    assert dict(bench.meter.commands) == bill()
