"""Jobs in Redis: state and event change together, once, and only by who may."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from api.events import log_key
from api.jobs.model.job import Job, JobStatus, NotAllowed, Progress, topic_of
from api.jobs.store import layout
from api.jobs.store.layout import Busy, Fenced, LeaseToken, Missing
from api.jobs.store.store import Contended, Idempotency
from tests.integration.jobs.bench import KEEP, Bench
from tests.support.upstash_server import UpstashServer


async def events(bench: Bench, job: Job) -> list[dict[str, Any]]:
    rows = await bench.redis.read("XRANGE", log_key(topic_of(job.id)), "-", "+")
    return [json.loads(fields[1])["data"] for _, fields in rows]


async def versions(bench: Bench, job: Job) -> list[int]:
    return [event["version"] for event in await events(bench, job)]


async def test_a_job_goes_its_way_and_each_step_is_an_event(bench: Bench):
    """From the queue over progress to the result."""
    job = await bench.created()
    started = await bench.store.start(job.id, lease_s=30)
    await bench.store.change(
        job.id, lambda j: j.progressed(Progress(1, 2, "half")), token=started.token
    )
    done = await bench.store.change(
        job.id,
        lambda j: j.succeeded(bench.now_ms),
        token=started.token,
        result_json='{"rows":3}',
    )

    assert started.input_json == '{"n":1}'
    assert await bench.store.find(job.id) == done
    assert (done.version, done.status, done.result) == (4, JobStatus.SUCCEEDED, '{"rows":3}')
    seen = await events(bench, job)
    assert [one["status"] for one in seen] == ["queued", "running", "running", "succeeded"]
    assert [one["version"] for one in seen] == [1, 2, 3, 4]
    assert seen[-1]["result"] == {"rows": 3}
    assert bench.told == [topic_of(job.id)] * 4


async def test_a_lost_reply_writes_once(bench: Bench, upstash: UpstashServer):
    """Each write is repeated under its own id, and finds that it was there."""
    upstash.faults(lose_replies=1, only=["EVAL"])
    job = await bench.created()
    upstash.faults(lose_replies=1, only=["EVAL"])
    started = await bench.store.start(job.id, lease_s=30)
    upstash.faults(lose_replies=1, only=["EVAL"])
    half = await bench.store.change(
        job.id, lambda j: j.progressed(Progress(1, 2)), token=started.token
    )
    upstash.faults(lose_replies=1, only=["EVAL"])
    await bench.store.change(job.id, lambda j: j.succeeded(bench.now_ms), token=started.token)

    assert (started.job.attempt, half.progress) == (1, 50)
    assert await versions(bench, job) == [1, 2, 3, 4]
    assert await bench.redis.read("XLEN", layout.QUEUE) == 1


async def test_a_start_whose_reply_was_lost_and_that_was_overtaken_is_still_ours(
    bench: Bench, upstash: UpstashServer
):
    """The token tells, although somebody else wrote in between."""
    job = await bench.created()
    upstash.faults(silent=0, lose_replies=1, only=["EVAL"])
    starting = asyncio.create_task(bench.store.start(job.id, lease_s=30))
    while (await bench.store.find(job.id)).status is JobStatus.QUEUED:  # type: ignore[union-attr]
        await asyncio.sleep(0)
    await bench.store.change(job.id, lambda j: j.cancel_asked(bench.now_ms))
    started = await starting

    assert started.job.attempt == 1
    renewed = await bench.store.renew(job.id, started.token, lease_s=30)
    assert renewed.cancel_requested


async def test_of_twenty_who_start_one_wins(bench: Bench):
    """One attempt, one event."""
    job = await bench.created()
    results = await asyncio.gather(
        *(bench.store.start(job.id, lease_s=30) for _ in range(20)), return_exceptions=True
    )

    assert sum(not isinstance(one, BaseException) for one in results) == 1
    assert sum(isinstance(one, Busy) for one in results) == 19
    assert await versions(bench, job) == [1, 2]


async def test_changes_at_the_same_time_all_happen(bench: Bench):
    """Who comes late decides anew on what is there then."""
    job = await bench.created()
    started = await bench.store.start(job.id, lease_s=30)

    def report(percent: int) -> Any:
        return bench.store.change(
            job.id, lambda j: j.progressed(Progress(percent, 100)), token=started.token
        )

    await asyncio.gather(*(report(10 * n) for n in range(1, 8)))
    job_now = await bench.store.find(job.id)

    assert job_now is not None
    assert job_now.progress == 70
    assert await versions(bench, job) == list(range(1, job_now.version + 1))


async def test_a_worker_whose_job_went_to_another_writes_nothing(bench: Bench):
    """The token of a start is worth nothing after the next start."""
    job = await bench.created()
    first = await bench.store.start(job.id, lease_s=30)
    bench.clock.advance(31)
    second = await bench.store.start(job.id, lease_s=30)

    for known in (None, first.job, second.job):
        with pytest.raises(Fenced):
            await bench.store.change(
                job.id, lambda j: j.succeeded(bench.now_ms), token=first.token, known=known
            )
    with pytest.raises(Fenced):
        await bench.store.renew(job.id, first.token, lease_s=30)
    assert second.job.attempt == 2
    assert await versions(bench, job) == [1, 2, 3]


async def test_progress_leaves_the_lease_and_renewing_extends_it(bench: Bench):
    """A worker that reports must not lose its job."""
    job = await bench.created()
    started = await bench.store.start(job.id, lease_s=30)
    await bench.store.change(
        job.id,
        lambda j: j.progressed(Progress(1, 2)),
        token=started.token,
        known=started.job,
    )
    bench.clock.advance(20)
    with pytest.raises(Busy) as busy:
        await bench.store.start(job.id, lease_s=30)
    await bench.store.renew(job.id, started.token, lease_s=30)
    bench.clock.advance(20)
    with pytest.raises(Busy) as renewed:
        await bench.store.start(job.id, lease_s=30)

    assert (busy.value.retry_after_s, renewed.value.retry_after_s) == (10, 10)


async def test_a_job_that_lost_its_last_worker_fails(bench: Bench):
    """And is not started again."""
    job = await bench.created(max_attempts=1)
    await bench.store.start(job.id, lease_s=30)
    bench.clock.advance(31)
    with pytest.raises(NotAllowed):
        await bench.store.start(job.id, lease_s=30)
    found = await bench.store.find(job.id)

    assert found is not None
    assert found.error is not None
    assert (found.status, found.error.code) == (JobStatus.FAILED, "worker-lost")


async def test_a_job_that_lost_its_worker_while_it_was_canceled_is_canceled(bench: Bench):
    """It is not begun once more to be stopped."""
    job = await bench.created()
    await bench.store.start(job.id, lease_s=30)
    await bench.store.change(job.id, lambda j: j.cancel_asked(bench.now_ms))
    bench.clock.advance(31)
    with pytest.raises(NotAllowed) as refused:
        await bench.store.start(job.id, lease_s=30)

    assert refused.value.job.status is JobStatus.CANCELED


async def test_a_job_that_others_change_all_the_time_is_given_up(bench: Bench):
    """After some tries: the caller may come back. Here the version never fits the document."""
    job = await bench.created()
    await bench.redis.write("HSET", layout.job_key(job.id), "v", 99)
    with pytest.raises(Contended) as given_up:
        await bench.store.change(job.id, lambda j: j.cancel_asked(bench.now_ms))

    assert given_up.value.executed is False
    assert await versions(bench, job) == [1]


async def test_what_is_done_is_not_started(bench: Bench):
    """A second delivery of it is spent."""
    job = await bench.created()
    await bench.store.change(job.id, lambda j: j.cancel_asked(bench.now_ms))
    with pytest.raises(NotAllowed):
        await bench.store.start(job.id, lease_s=30)
    assert await bench.store.position(job) is None


async def test_a_job_that_nobody_starts_expires(bench: Bench):
    """As soon as somebody looks, be it a reader or a worker."""
    read, claimed = await bench.created(), await bench.created()
    bench.clock.advance(KEEP.queue_s)
    found = await bench.store.find(read.id)
    with pytest.raises(NotAllowed) as refused:
        await bench.store.start(claimed.id, lease_s=30)

    assert found is not None
    assert found.status is refused.value.job.status is JobStatus.EXPIRED
    assert await versions(bench, read) == [1, 2]


async def test_a_job_that_is_not_there_cannot_change(bench: Bench):
    job = bench.job()
    for act in (
        bench.store.change(job.id, lambda j: j),
        bench.store.change(job.id, lambda j: j.cancel_asked(1), known=job),
        bench.store.start(job.id, lease_s=1),
        bench.store.renew(job.id, LeaseToken("t"), lease_s=1),
    ):
        with pytest.raises(Missing):
            await act


async def test_fifty_who_create_under_one_key_get_one_job(bench: Bench):
    """It is queued once."""
    once = Idempotency("k", "print", 3600)
    created = await asyncio.gather(
        *(bench.store.create(bench.job(), "{}", idempotency=once, enqueue=True) for _ in range(50))
    )

    assert len({one.job_id for one in created}) == 1
    assert sum(not one.replayed for one in created) == 1
    assert {one.fingerprint for one in created if one.replayed} == {"print"}
    assert await bench.redis.read("XLEN", layout.QUEUE) == 1
    assert await bench.redis.read("ZCARD", layout.WAITING) == 1
