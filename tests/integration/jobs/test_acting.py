"""Cancel, retry, list, and what nobody else may see."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from api.jobs.model.job import JobError, Transition
from api.jobs.store import layout
from api.jobs.store.store import JobStore
from tests.integration.jobs.conftest import Caller, Site
from tests.integration.jobs.test_reading import finish_delivery
from tests.support.instances import Instance
from tests.support.job_queue import queue_elsewhere
from tests.support.upstash_server import UpstashServer

BOOM = JobError("boom", "It broke")


def failed(at_ms: int = 1) -> Transition:
    return lambda job: job.failed(at_ms, BOOM)


async def waiting(instance: Instance) -> int:
    count: int = await instance.services.redis.read("ZCARD", layout.WAITING)
    return count


async def test_a_job_that_has_not_begun_is_canceled_at_once(
    alice: Caller, instance: Instance, store: JobStore
):
    """202 the first time, then 200, with the same body; and it leaves the queue."""
    job_id = await alice.created()
    first = await alice.act(job_id, "cancel")
    second = await alice.act(job_id, "cancel")

    assert (first.status_code, second.status_code) == (202, 200)
    assert first.json() == second.json() == (await alice.read(job_id)).json()
    job = first.json()
    assert (job["status"], job["done"], job["version"]) == ("canceled", True, 2)
    assert (job["cancelable"], job["retryable"]) == (False, True)
    assert job["finished_at"] < job["expires_at"]
    assert await waiting(instance) == 0


async def test_a_running_job_is_asked_to_stop(alice: Caller, store: JobStore):
    """The worker hears of it with its next heartbeat; asking twice changes nothing."""
    job_id: Any = await alice.created()
    work = await store.start(job_id, lease_s=60)
    first = await alice.act(job_id, "cancel")
    second = await alice.act(job_id, "cancel")

    assert (first.status_code, second.status_code) == (202, 202)
    job = second.json()
    assert (job["status"], job["cancel_requested"], job["cancelable"]) == ("running", True, False)
    assert job["version"] == 3
    assert (await store.renew(job_id, work.token, lease_s=60)).cancel_requested


async def test_a_retry_keeps_the_id_and_goes_on_counting(alice: Caller, store: JobStore):
    """The version and the attempts go on, progress and error do not."""
    job_id: Any = await alice.created()
    work = await store.start(job_id, lease_s=60)
    await store.change(job_id, failed(), token=work.token)
    answer = await alice.act(job_id, "retry")
    job = answer.json()

    assert (answer.status_code, answer.headers["location"]) == (202, f"/api/jobs/{job_id}")
    assert (job["id"], job["status"], job["version"]) == (job_id, "queued", 4)
    assert (job["attempt"], job["max_attempts"], job["queue_position"]) == (1, 4, 0)
    assert (job["progress"], job["error"], job["expires_at"]) == (None, None, None)
    again = await store.start(job_id, lease_s=60)
    assert (again.job.attempt, again.input_json) == (2, '{"rows":1}')


@pytest.mark.parametrize("status", ["queued", "running", "succeeded"])
async def test_only_what_fell_short_is_retried(alice: Caller, store: JobStore, status: str):
    job_id: Any = await alice.created()
    if status != "queued":
        work = await store.start(job_id, lease_s=60)
        if status == "succeeded":
            await store.change(job_id, lambda j: j.succeeded(1), token=work.token)
    answer = await alice.act(job_id, "retry")

    assert (answer.status_code, answer.json()["code"]) == (409, "not-retryable")
    assert (await alice.read(job_id)).json()["status"] == status


async def test_retries_at_the_same_time_are_one(alice: Caller, instance: Instance):
    """The job is queued once more, not twice."""
    job_id = await alice.created()
    await alice.act(job_id, "cancel")
    answers = await asyncio.gather(*(alice.act(job_id, "retry") for _ in range(10)))

    assert sorted(answer.status_code for answer in answers) == [202] + [409] * 9
    assert await instance.services.redis.read("XLEN", layout.QUEUE) == 2


async def test_the_job_of_another_is_not_there(alice: Caller, bob: Caller, site: Site):
    """404 everywhere, in the same words as for none at all; admins see it."""
    job_id = await alice.created()
    nothing = f"job_{'0' * 26}"
    for path in ("", "/events", "/result", "?wait=1&after=1"):
        foreign = await bob.http.get(f"/api/jobs/{job_id}{path}")
        unknown = await bob.http.get(f"/api/jobs/{nothing}{path}")
        assert (foreign.status_code, foreign.json()["code"]) == (404, "job-not-found")
        assert {**foreign.json(), "ref": 0} == {**unknown.json(), "ref": 0}
    for act in ("cancel", "retry"):
        assert (await bob.act(job_id, act)).status_code == 404
    some = (await bob.ask(ids=job_id)).json()
    admin = site.caller(alice.instance, "root", "admin")

    assert (some["data"], some["missing"]) == ([], [job_id])
    assert (await alice.read(job_id)).json()["status"] == "queued"
    assert (await admin.read(job_id)).status_code == 200
    assert (await admin.ask(ids=job_id)).json()["missing"] == []


async def test_a_forgotten_job_is_410_for_a_while(site: Site):
    """Its owner is told apart from one who made the id up; others are not."""
    instance = await site.start(job_result_ttl_s=1, job_gone_ttl_s=1)
    alice, bob = site.caller(instance), site.caller(instance, "bob")
    cold = site.caller(await site.start())
    job_id = await alice.created()
    await alice.act(job_id, "cancel")
    await asyncio.sleep(1.05)
    gone = [
        await alice.read(job_id),
        await alice.act(job_id, "retry"),
        await alice.act(job_id, "cancel"),
        await cold.read(job_id),
        await alice.ask(f"/{job_id}/events"),
    ]
    foreign = await bob.read(job_id)
    listed = await alice.ask()
    await asyncio.sleep(1.05)

    assert {(one.status_code, one.json()["code"]) for one in gone} == {(410, "job-expired")}
    assert foreign.status_code == 404
    assert listed.json()["data"] == []
    assert (await alice.ask(ids=job_id)).json()["missing"] == [job_id]
    assert (await cold.read(job_id)).status_code == 404
    left: list[str] = await instance.services.redis.read("KEYS", f"*{job_id}*")
    assert left == []


async def test_what_another_process_has_just_changed_is_acted_upon(
    site: Site, alice: Caller, store: JobStore
):
    """What is old enough to be read is too old to refuse by."""
    other = site.caller(await site.start())
    job_id: Any = await alice.created()
    work = await store.start(job_id, lease_s=60)
    await other.read(job_id)
    await store.change(job_id, failed(), token=work.token)
    retried = await other.act(job_id, "retry")
    await alice.act(job_id, "cancel")
    again = await other.act(job_id, "cancel")

    assert (retried.status_code, again.status_code) == (202, 200)


async def test_a_key_whose_job_is_forgotten_is_410(site: Site):
    """The same request would be another job by now: say so."""
    instance = await site.start(job_result_ttl_s=1)
    caller = site.caller(instance)
    first = await caller.create(key="k")
    await caller.act(first.json()["id"], "cancel")
    await asyncio.sleep(1.05)
    again = await caller.create(key="k")

    assert (again.status_code, again.json()["code"]) == (410, "job-expired")


async def test_a_job_that_cannot_be_queued_is_not_there(alice: Caller, instance: Instance):
    """503, nothing is left, and the same key may try again."""
    queue = queue_elsewhere(instance, failures=1)
    refused = await alice.create(key="k")
    left = await instance.services.redis.read("KEYS", "*")
    created = await alice.create(key="k")
    replayed = await alice.create(key="k")

    assert (refused.status_code, refused.json()["code"]) == (503, "store-unavailable")
    assert left == []
    assert (created.status_code, "idempotency-replayed" in created.headers) == (202, False)
    assert replayed.headers["idempotency-replayed"] == "true"
    assert queue.jobs == [created.json()["id"]] * 2


async def test_a_retry_that_cannot_be_queued_changes_nothing(alice: Caller, instance: Instance):
    """The job is as it was, and may be retried."""
    job_id = await alice.created()
    await alice.act(job_id, "cancel")
    queue = queue_elsewhere(instance, failures=1)
    refused = await alice.act(job_id, "retry")
    job = (await alice.read(job_id)).json()
    second = await alice.act(job_id, "retry")

    assert (refused.status_code, second.status_code) == (503, 202)
    assert (job["status"], job["retryable"]) == ("canceled", True)
    assert queue.jobs == [job_id]


async def test_a_job_that_is_done_shows_in_its_owners_feed(alice: Caller, store: JobStore):
    """Once, by the same write."""
    job_id: Any = await alice.created()
    work = await store.start(job_id, lease_s=60)
    await store.change(job_id, failed(), token=work.token)
    feed = (await alice.http.get("/api/activity/user:alice")).json()["data"]

    assert [(one["data"]["verb"], one["data"]["object"]["id"]) for one in feed] == [
        ("failed", job_id)
    ]


async def test_a_store_that_is_away_is_503(alice: Caller, upstash: UpstashServer):
    """Come back later; it is not the job's fault."""
    job_id = await alice.created()
    await finish_delivery()
    upstash.faults(bad_gateway=-1)
    answers = [await alice.read(job_id), await alice.create(), await alice.ask()]

    assert {answer.status_code for answer in answers} == {503}
    assert all(answer.headers["retry-after"] for answer in answers)
