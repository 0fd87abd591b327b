"""A job's state over SSE, until it is done."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from api.events import CloseReason, Deadline, window
from api.jobs.model.job import Progress, topic_of
from api.jobs.store import layout
from api.jobs.store.store import JobStore
from tests.integration.events.conftest import put
from tests.integration.jobs.conftest import Caller, Site
from tests.support.asgi_reader import AsgiConnection
from tests.support.client import Stream
from tests.support.instances import Instance
from tests.support.upstash_server import UpstashServer


def states(stream: Stream) -> list[dict[str, Any]]:
    return [json.loads(frame.data) for frame in stream.frames if frame.event == "job"]


async def until_states(stream: Stream, count: int) -> list[dict[str, Any]]:
    await stream.until(lambda one: len(states(one)) >= count)
    return states(stream)


async def test_a_stream_shows_each_state_and_ends_with_the_last(
    alice: Caller, store: JobStore, instance: Instance
):
    """The data is what GET says, the id is the version, and the end is clean."""
    job_id: Any = await alice.created()
    stream = alice.stream(job_id)
    await until_states(stream, 1)
    work = await store.start(job_id, lease_s=60)
    await until_states(stream, 2)
    await store.change(job_id, lambda j: j.progressed(Progress(1, 2)), token=work.token)
    await until_states(stream, 3)
    await store.change(job_id, lambda j: j.succeeded(1), token=work.token, result_json='{"rows":1}')
    await stream.until_end()
    last = (await alice.read(job_id)).json()

    assert stream.connection.headers["content-type"].startswith("text/event-stream")
    assert [frame.event for frame in stream.frames] == ["job"] * 4
    assert [frame.id for frame in stream.frames] == ["1", "2", "3", "4"]
    assert states(stream)[-1] == last
    assert [one["status"] for one in states(stream)] == [
        "queued",
        "running",
        "running",
        "succeeded",
    ]
    assert stream.retry_ms is not None
    assert not instance.services.streaming.hub.follows_anything
    ends = instance.services.metrics.ends
    assert ends.labels("complete")._value.get() == 1


async def test_whoever_comes_back_after_the_end_gets_204(alice: Caller):
    """An EventSource closes then; one that missed the end is shown it first."""
    job_id = await alice.created()
    await alice.act(job_id, "cancel")
    late = await alice.stream(job_id, 1).until_end()
    after = await alice.stream(job_id, 2).until_end()

    assert [one["status"] for one in states(late)] == ["canceled"]
    assert (after.connection.status, after.frames) == (204, [])


async def test_a_reconnect_waits_for_what_is_new(alice: Caller, store: JobStore):
    """It is not shown what it has."""
    job_id: Any = await alice.created()
    stream = alice.stream(job_id, 1)
    await stream.until(lambda one: one.retry_ms is not None)
    await asyncio.sleep(0.05)
    assert stream.frames == []
    await store.start(job_id, lease_s=60)

    assert [one["version"] for one in await until_states(stream, 1)] == [2]
    await stream.close()


@pytest.mark.parametrize("given", ["", "x", "-1", "9" * 30, "٣"])
async def test_an_id_that_is_no_version_shows_the_state(alice: Caller, given: str):
    job_id = await alice.created()
    headers = {**alice.headers, "Accept": "text/event-stream", "Last-Event-ID": given}
    stream = Stream(AsgiConnection(alice.app, f"/api/jobs/{job_id}/events", [], headers))
    assert len(await until_states(stream, 1)) == 1
    await stream.close()


async def test_a_buffered_answer_is_one_state(site: Site):
    """At once if there is news, else what comes within the window, or nothing."""
    caller = site.caller(await site.start(window(0.2)))
    job_id = await caller.created()
    news = await caller.stream(job_id).until_end()
    none = await caller.stream(job_id, 1).until_end()

    assert [one["version"] for one in states(news)] == [1]
    assert states(none) == []
    assert news.bye["reason"] == none.bye["reason"] == "deadline"
    assert news.cursor == "1"  # the goodbye leaves the id alone


async def test_a_stream_ends_with_its_deadline_its_token_and_its_process(site: Site):
    """As every stream does."""
    short = await site.start(lambda _: Deadline(0.1, CloseReason.ROTATE))
    caller = site.caller(short)
    rotated = await caller.stream(await caller.created()).until_end()

    instance = await site.start()
    caller = site.caller(instance)
    held = caller.stream(await caller.created())
    await until_states(held, 1)
    await instance.services.streaming.open_streams.drain(timeout_s=2)
    await held.until_end()
    refused = await caller.stream(await caller.created()).until_end()

    assert rotated.bye["reason"] == "rotate"
    assert held.bye["reason"] == "shutdown"
    assert (refused.connection.status, refused.frames) == (200, [])


async def test_streams_are_kept_alive_and_limited(site: Site):
    """Comments each second here; the second stream of a user is one too many."""
    instance = await site.start(keep_alive_s=1, max_streams_per_user=1)
    caller = site.caller(instance)
    job_id = await caller.created()
    stream = caller.stream(job_id)
    await stream.until(lambda one: one.comments >= 3)
    second = await caller.ask(f"/{job_id}/events")

    assert (second.status_code, second.json()["code"]) == (429, "over-connection-limit")
    await stream.close()


async def test_a_stream_outlives_an_absence_of_the_store(
    site: Site, upstash: UpstashServer, alice: Caller
):
    """The first read fails for a while; the client notices nothing."""
    caller = site.caller(await site.start(redis_timeout_s=0.3))
    job_id = await caller.created()
    await caller.read(job_id)
    upstash.faults(bad_gateway=-1, only=["XREAD"])
    stream = caller.stream(job_id)
    await stream.until(lambda one: one.retry_ms is not None)
    await asyncio.sleep(0.4)
    upstash.clear_faults()

    assert len(await until_states(stream, 1)) == 1
    await stream.close()


async def test_the_topic_of_a_job_is_its_owners(alice: Caller, bob: Caller, site: Site):
    """It carries the same states as events."""
    job_id = await alice.created()
    await alice.act(job_id, "cancel")
    query = {"topic": f"job:{job_id}", "history": "10"}
    headers = {"Accept": "application/json"}
    own = await alice.http.get("/api/events", params=query, headers=headers)
    foreign = await bob.http.get("/api/events", params=query, headers=headers)
    publish = await alice.http.post(f"/api/events/job:{job_id}", json={"type": "x", "data": 1})

    assert [event["type"] for event in own.json()["events"]] == ["job", "job"]
    last = (await alice.read(job_id)).json()
    assert own.json()["events"][-1]["data"] == last
    assert (foreign.status_code, publish.status_code) == (403, 403)


async def test_a_topic_that_cannot_be_decided_on_is_503(
    site: Site, alice: Caller, upstash: UpstashServer
):
    """Not 403: the job may well be the caller's."""
    job_id = await alice.created()
    caller = site.caller(await site.start(redis_timeout_s=0.3))
    upstash.faults(bad_gateway=-1, only=["HMGET"])
    query = {"topic": f"job:{job_id}"}
    headers = {"Accept": "application/json"}
    answer = await caller.http.get("/api/events", params=query, headers=headers)

    assert answer.status_code == 503


async def test_a_job_that_vanishes_ends_its_stream(alice: Caller, instance: Instance):
    """The next connect says why."""
    job_id: Any = await alice.created()
    stream = alice.stream(job_id)
    await until_states(stream, 1)
    redis = instance.services.redis
    await redis.write("DEL", layout.job_key(job_id))
    await redis.write("ZREM", layout.WAITING, layout.waiting_member(job_id, 1))
    await put(instance.services.streaming.log, topic_of(job_id), None)
    await stream.until_end()

    assert stream.bye["reason"] == "rotate"
    assert (await alice.ask(f"/{job_id}/events")).status_code == 404


@pytest.mark.parametrize("name", ["lastEventId", "last-event-id"])
async def test_a_client_that_can_set_no_header_says_its_version_in_the_query(
    alice: Caller, name: str
):
    """Who has the last state is told nothing more."""
    job_id = await alice.created()
    version = (await alice.act(job_id, "cancel")).json()["version"]

    answer = await alice.ask(f"/{job_id}/events", **{name: version})

    assert answer.status_code == 204
