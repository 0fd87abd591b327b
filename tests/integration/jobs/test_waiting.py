"""Long polls: an answer comes with the change, or says after a while that there was none."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from api.events import CloseReason, Deadline, log_key
from api.jobs.callers.watch import PATIENCE
from api.jobs.model.job import Progress, Transition, topic_of
from api.jobs.store.store import JobStore
from tests.integration.events.conftest import put
from tests.integration.jobs.conftest import Bill, Caller, Site
from tests.support.instances import Instance
from tests.support.upstash_server import UpstashServer

FORMS = ["parameters", "preference"]


async def held(caller: Caller, job_id: str, version: int, wait_s: int, form: str) -> Any:
    if form == "parameters":
        return await caller.read(job_id, wait=wait_s, after=version)
    return await caller.read(job_id, etag=f'W/"{version}"', prefer=f"wait={wait_s}")


def report(percent: int) -> Transition:
    return lambda job: job.progressed(Progress(percent, 100))


async def until_watched(instance: Instance, count: int = 1) -> None:
    """The polls are held: they follow the job's topic."""
    while len(instance.services.streaming.hub.positions()) < count:
        await asyncio.sleep(0.005)


def polled(instance: Instance) -> float:
    count: float = instance.services.metrics.polls._value.get()
    return count


@pytest.mark.parametrize("form", FORMS)
async def test_a_change_ends_the_wait(
    alice: Caller, instance: Instance, store: JobStore, form: str
):
    """At once, with the new state."""
    job_id: Any = await alice.created()
    waiting = asyncio.create_task(held(alice, job_id, 1, 10, form))
    await until_watched(instance)
    await store.start(job_id, lease_s=60)
    answer = await asyncio.wait_for(waiting, 1)

    assert (answer.status_code, answer.json()["version"]) == (200, 2)
    assert answer.headers["cache-control"] == "no-store"
    applied = answer.headers.get("preference-applied")
    assert applied == ("wait=10" if form == "preference" else None)


@pytest.mark.parametrize("form", FORMS)
async def test_a_wait_in_vain_is_304(alice: Caller, form: str):
    """After as long as it was to be, with the hint for the next."""
    job_id = await alice.created()
    began = time.monotonic()
    answer = await held(alice, job_id, 1, 1, form)

    assert 0.95 < time.monotonic() - began < 3
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["cache-control"] == "no-store"
    assert int(answer.headers["x-poll-after-ms"]) > 0


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("version", [0, 7])
async def test_who_has_another_version_does_not_wait(alice: Caller, form: str, version: int):
    """Be it older, or from elsewhere."""
    job_id = await alice.created()
    answer = await asyncio.wait_for(held(alice, job_id, version, 20, form), 2)

    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")


async def test_what_is_done_is_not_waited_for(alice: Caller):
    """No change will come."""
    job_id = await alice.created()
    await alice.act(job_id, "cancel")
    answers = [await held(alice, job_id, 2, 20, form) for form in FORMS]

    assert [answer.status_code for answer in answers] == [200, 304]
    assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}


async def test_a_preference_without_a_version_is_answered_at_once(alice: Caller):
    """Whatever there is, is news to whoever has nothing."""
    job_id = await alice.created()
    answer = await asyncio.wait_for(alice.read(job_id, prefer="wait=20"), 2)

    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")


@pytest.mark.alone
async def test_every_change_is_seen_soon_after_its_write(site: Site):
    """Most within 60 ms: the writer wakes the poller, which by itself looks each second here."""
    instance = await site.start(poll_min_ms=1000, poll_idle_ms=1000)
    caller, store = site.caller(instance), instance.services.jobs.store
    job_id: Any = await caller.created()
    work = await store.start(job_id, lease_s=60)
    version, late = work.job.version, []
    for percent in range(1, 31):
        polls = polled(instance)
        waiting = asyncio.create_task(held(caller, job_id, version, 10, "parameters"))
        await until_watched(instance)
        while polled(instance) == polls:  # the new reader woke the poller, which now rests
            await asyncio.sleep(0.005)
        await store.change(job_id, report(percent), token=work.token)
        written = time.monotonic()
        answer = await waiting
        late.append(time.monotonic() - written)
        version = answer.json()["version"]

    late.sort()
    print(f"median {late[15] * 1000:.0f} ms, p95 {late[28] * 1000:.0f} ms")
    assert version == work.job.version + 30
    assert late[15] < 0.15
    assert late[28] < 0.5


async def test_a_change_by_another_process_ends_the_wait(site: Site, alice: Caller):
    """The log brings it."""
    other = await site.start()
    job_id: Any = await alice.created()
    waiting = asyncio.create_task(held(site.caller(other), job_id, 1, 10, "parameters"))
    await until_watched(other)
    await alice.act(job_id, "cancel")
    answer = await asyncio.wait_for(waiting, 2)

    assert (answer.status_code, answer.json()["status"]) == (200, "canceled")


async def test_a_change_while_the_wait_begins_is_not_missed(
    site: Site, alice: Caller, upstash: UpstashServer
):
    """Neither the cache nor the search for "now" may hide it."""
    other = await site.start()
    poller = site.caller(other)
    for _ in range(5):
        job_id: Any = await alice.created()
        await poller.read(job_id)  # the other process believes that it is queued
        await alice.act(job_id, "cancel")
        answer = await asyncio.wait_for(held(poller, job_id, 1, 10, "parameters"), 2)
        assert answer.json()["status"] == "canceled"


@pytest.mark.alone
async def test_those_who_wait_for_one_job_share_their_reads(
    alice: Caller, instance: Instance, store: JobStore, bill: Bill
):
    """One to begin with. What this process has written itself is not read at all."""
    instance.poll_by_hand()
    job_id: Any = await alice.created()
    await store.start(job_id, lease_s=60)
    bill()
    waiting = [asyncio.create_task(held(alice, job_id, 2, 10, "parameters")) for _ in range(50)]
    await until_watched(instance)
    await asyncio.sleep(0.1)
    begun = bill()
    await store.change(job_id, lambda j: j.cancel_asked(1))
    bill()
    await instance.services.poller.run_once()
    answers = await asyncio.wait_for(asyncio.gather(*waiting), 5)

    assert {answer.json()["version"] for answer in answers} == {3}
    assert begun == {"XREAD": 1, "HMGET": 1}
    assert bill().get("HMGET", 0) == 0


async def test_a_wait_is_no_longer_than_the_deployment_bears(site: Site):
    """A function that is about to end answers before."""
    soon = Deadline(0.3, CloseReason.DEADLINE, hold_s=20)
    caller = site.caller(await site.start(lambda _: soon))
    job_id = await caller.created()
    began = time.monotonic()
    answers = await asyncio.gather(
        *(held(caller, job_id, 1, 20, form) for form in FORMS), caller.create(Prefer="wait=20")
    )

    assert time.monotonic() - began < 3
    assert [answer.status_code for answer in answers] == [304, 304, 202]


async def test_nothing_is_left_of_a_wait(alice: Caller, instance: Instance):
    """The client went, and the poller has nothing to follow."""
    job_id = await alice.created()
    waiting = asyncio.create_task(held(alice, job_id, 1, 20, "parameters"))
    await until_watched(instance)
    waiting.cancel()
    await asyncio.wait([waiting])

    assert instance.services.streaming.hub.positions() == {}
    assert not instance.services.streaming.hub.follows_anything


async def test_a_process_that_ends_lets_its_waiters_go(alice: Caller, instance: Instance):
    """They poll on, at another process; and nobody new is held."""
    job_id = await alice.created()
    waiting = [asyncio.create_task(held(alice, job_id, 1, 20, form)) for form in FORMS]
    creating = asyncio.create_task(alice.create(Prefer="wait=20"))
    await until_watched(instance, 2)
    await instance.services.streaming.open_streams.drain(timeout_s=2)
    answers = await asyncio.wait_for(asyncio.gather(*waiting, creating), 2)
    late = await asyncio.wait_for(held(alice, job_id, 1, 20, "parameters"), 2)

    assert [answer.status_code for answer in (*answers, late)] == [304, 304, 202, 304]


async def test_what_others_publish_on_the_topic_is_no_change(
    site: Site, alice: Caller, instance: Instance
):
    """An admin may publish anywhere; the job is looked at, and the wait goes on."""
    job_id: Any = await alice.created()
    admin = site.caller(instance, "root", "admin")
    waiting = asyncio.create_task(held(alice, job_id, 1, 10, "parameters"))
    await until_watched(instance)
    for data in (None, {"version": "x"}):
        body = {"type": "note", "data": data}
        (await admin.http.post(f"/api/events/job:{job_id}", json=body)).raise_for_status()
    await asyncio.sleep(0.1)
    assert not waiting.done()
    await alice.act(job_id, "cancel")

    assert (await asyncio.wait_for(waiting, 2)).json()["version"] == 2


async def test_a_gap_in_the_topic_is_no_reason_to_miss_a_change(
    alice: Caller, instance: Instance, store: JobStore
):
    """The log was trimmed under the wait: the job itself is read."""
    job_id: Any = await alice.created()
    waiting = asyncio.create_task(held(alice, job_id, 1, 10, "parameters"))
    await until_watched(instance)
    instance.poll_by_hand()
    await instance.services.poller.close()
    await instance.services.redis.write("DEL", log_key(topic_of(job_id)))
    await store.start(job_id, lease_s=60)
    await instance.services.poller.run_once()

    assert (await asyncio.wait_for(waiting, 2)).json()["version"] == 2


@pytest.mark.alone
async def test_a_version_that_was_heard_of_is_looked_for_and_not_for_ever(
    site: Site, alice: Caller, bill: Bill
):
    """A replica may be behind the event, for a while; what an admin made up never comes."""
    other = await site.start()
    job_id: Any = await alice.created()
    waiting = asyncio.create_task(held(site.caller(other), job_id, 1, 10, "parameters"))
    await until_watched(other)
    bill()
    await put(other.services.streaming.log, topic_of(job_id), {"version": 9}, kind="job")
    await asyncio.sleep(1)
    looked = bill()["ZRANK"]
    await alice.act(job_id, "cancel")

    assert (await asyncio.wait_for(waiting, 2)).json()["version"] == 2
    # The poll's own first look may still be under way when the count begins.
    assert 1 < looked <= 2 * (PATIENCE + 1) + 1
