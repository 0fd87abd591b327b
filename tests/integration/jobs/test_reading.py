"""Creating and polling: what the answers say, and what they cost."""

from __future__ import annotations

import asyncio
from typing import Any

import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from api.jobs.model.job import JobError, Progress
from api.jobs.model.view import JobView
from api.jobs.store.store import JobStore, Started
from tests.integration.jobs.conftest import Bill, Caller, Site
from tests.support.upstash_server import UpstashServer

WINDOW_S = 0.25


async def finish_delivery() -> None:
    """Let what the cache holds grow old: it measures real time."""
    await asyncio.sleep(WINDOW_S + 0.02)


async def started(store: JobStore, job_id: Any) -> Started:
    return await store.start(job_id, lease_s=60)


async def finish(store: JobStore, job_id: Any, result: str = '{"rows":1}') -> None:
    work = await started(store, job_id)
    await store.change(
        job_id, lambda j: j.succeeded(j.updated_ms), token=work.token, result_json=result
    )


async def test_a_new_job_is_202_with_everything_a_poller_needs(alice: Caller):
    """Location, when to come back, and the job itself."""
    answer = await alice.create(3)
    job = answer.json()

    assert answer.status_code == 202
    assert answer.headers["location"] == f"/api/jobs/{job['id']}" == job["links"]["self"]
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["x-poll-after-ms"] == str(job["poll_after_ms"])
    assert answer.headers["etag"] == 'W/"1.0"'
    assert 450 <= job["poll_after_ms"] <= 550
    assert (job["status"], job["done"], job["version"]) == ("queued", False, 1)
    assert (job["queue_position"], job["attempt"], job["max_attempts"]) == (0, 0, 3)
    assert (job["cancelable"], job["retryable"], job["result"]) == (True, False, None)
    assert JobView.model_validate(job).model_dump(mode="json") == job


async def test_a_poll_says_what_has_changed(alice: Caller, store: JobStore):
    """From the queue to the end, each state is a valid JobView of its own version."""
    job_id = await alice.created()
    work = await started(store, job_id)
    running = await alice.read(job_id)
    await store.change(
        work.job.id, lambda j: j.progressed(Progress(1, 3, "on it")), token=work.token
    )
    half = await alice.read(job_id)
    await store.change(
        work.job.id, lambda j: j.succeeded(1), token=work.token, result_json='{"rows":3}'
    )
    done = await alice.read(job_id)

    for answer in (running, half, done):
        assert answer.status_code == 200
        assert JobView.model_validate(answer.json()).model_dump(mode="json") == answer.json()
        assert answer.headers["etag"] == f'W/"{answer.json()["version"]}"'
        assert answer.headers["cache-control"] == "private, no-cache"
        assert {"Authorization", "Origin"} <= set(answer.headers["vary"].split(", "))
    assert (half.json()["progress"], half.json()["message"]) == (33, "on it")
    assert (done.json()["done"], done.json()["result"]) == (True, {"rows": 3})
    assert (done.json()["poll_after_ms"], "retry-after" in done.headers) == (0, False)


async def test_an_unchanged_job_is_304_for_one_command_and_for_none_at_once(
    alice: Caller, store: JobStore, bill: Bill
):
    """Queued and running alike; the headers still say when to come back."""
    job_id = await alice.created()
    for act in (None, started):
        if act:
            await act(store, job_id)
        etag = (await alice.read(job_id)).headers["etag"]
        await finish_delivery()
        bill()
        first = await alice.read(job_id, etag=etag)
        one = bill()
        again = [await alice.read(job_id, etag=etag) for _ in range(5)]

        assert [answer.status_code for answer in (first, *again)] == [304] * 6
        assert first.content == b""
        assert first.headers["retry-after"] == "1"
        assert int(first.headers["x-poll-after-ms"]) > 400
        assert sum(one.values()) == 1, one
        assert bill() == {}


async def test_a_process_that_meets_a_queued_job_first_asks_once(
    site: Site, alice: Caller, bill: Bill
):
    """As each new instance of a function does."""
    job = await alice.create()
    other = site.caller(await site.start())
    bill()
    cold = await other.read(job.json()["id"], etag=job.headers["etag"])

    assert cold.status_code == 304
    assert sum(bill().values()) == 1


async def test_many_who_miss_at_once_share_one_read(alice: Caller, store: JobStore, bill: Bill):
    """Before, and after the job has left the queue."""
    job_id = await alice.created()
    await finish_delivery()
    bill()
    queued = await asyncio.gather(*(alice.read(job_id) for _ in range(30)))
    one = bill()
    await started(store, job_id)
    await finish_delivery()
    bill()
    running = await asyncio.gather(*(alice.read(job_id) for _ in range(30)))

    assert {answer.json()["status"] for answer in queued} == {"queued"}
    assert {answer.json()["status"] for answer in running} == {"running"}
    assert (one, bill()) == ({"ZRANK": 1}, {"HMGET": 1})


async def test_another_process_sees_a_change_after_the_window_at_the_latest(
    site: Site, alice: Caller, store: JobStore
):
    """A queued job that it knew is not believed to be queued for ever."""
    other = site.caller(await site.start())
    job_id = await alice.created()
    await other.read(job_id)
    await started(store, job_id)
    await finish_delivery()

    assert (await other.read(job_id)).json()["status"] == "running"


async def test_the_place_in_the_queue_moves_without_a_version(
    site: Site, alice: Caller, store: JobStore
):
    """It changes the ETag, so that a poller sees it."""
    first, second = await alice.created(), await alice.created()
    before = await alice.read(second)
    await started(store, first)
    await finish_delivery()
    after = await alice.read(second, etag=before.headers["etag"])

    assert (before.json()["queue_position"], after.json()["queue_position"]) == (1, 0)
    assert after.status_code == 200
    assert (before.json()["version"], after.json()["version"]) == (1, 1)


async def test_a_failed_job_is_200_with_an_error(alice: Caller, store: JobStore):
    """The job failed; reading it did not."""
    job_id = await alice.created()
    work = await started(store, job_id)
    error = JobError("too-many-rows", "Too many rows", "At most 5.", retryable=False, ref="r1")
    await store.change(work.job.id, lambda j: j.failed(1, error), token=work.token)
    answer = await alice.read(job_id)

    assert answer.status_code == 200
    assert answer.json()["result"] is None
    assert answer.json()["error"] == {
        "type": "urn:millrace:problem:too-many-rows",
        "title": "Too many rows",
        "code": "too-many-rows",
        "retryable": False,
        "detail": "At most 5.",
        "ref": "r1",
    }


async def test_a_large_result_has_a_link(alice: Caller, store: JobStore):
    """Beyond 64 kB; a small one is found there too."""
    small, large, none = [await alice.created() for _ in range(3)]
    text = '"' + "x" * 70_000 + '"'
    await finish(store, small)
    await finish(store, large, text)
    seen = (await alice.read(large)).json()

    assert (seen["result"], seen["result_url"]) == (None, f"/api/jobs/{large}/result")
    assert (await alice.read(small)).json()["result_url"] is None
    assert (await alice.http.get(seen["result_url"])).text == text
    assert (await alice.ask(f"/{small}/result")).json() == {"rows": 1}
    missing = await alice.ask(f"/{none}/result")
    assert (missing.status_code, missing.json()["code"]) == (409, "job-without-result")


async def test_a_lost_reply_creates_one_job(alice: Caller, upstash: UpstashServer):
    """Also without an Idempotency-Key: the write knows itself again."""
    upstash.faults(lose_replies=1, only=["EVAL"])
    answer = await alice.create()
    listed = (await alice.ask()).json()

    assert answer.status_code == 202
    assert [one["id"] for one in listed["data"]] == [answer.json()["id"]]


async def test_fifty_who_send_one_key_get_one_job(alice: Caller, bob: Caller):
    """Another body is refused, and another user's key is another key."""
    answers = await asyncio.gather(*(alice.create(2, key="k") for _ in range(50)))
    other = await alice.create(3, key="k")
    foreign = await bob.create(3, key="k")

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    replayed = [answer.headers.get("idempotency-replayed") for answer in answers]
    assert (replayed.count("true"), replayed.count(None)) == (49, 1)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    assert foreign.status_code == 202
    assert "idempotency-replayed" not in foreign.headers


@pytest.mark.parametrize("prefer", ["wait=5", "respond-async, wait=5", 'wait="5"; x=y'])
async def test_a_create_that_waits_is_200_when_the_job_is_done_in_time(
    alice: Caller, store: JobStore, prefer: str
):
    creating = asyncio.create_task(alice.create(Prefer=prefer))
    while not (listed := (await alice.ask()).json()["data"]):
        await asyncio.sleep(0.01)
    await finish(store, listed[0]["id"])
    answer = await creating

    assert (answer.status_code, answer.json()["status"]) == (200, "succeeded")
    assert answer.headers["preference-applied"] == "wait=5"
    assert answer.headers["location"] == answer.json()["links"]["self"]


async def test_a_create_that_waited_in_vain_is_202(alice: Caller):
    answer = await alice.create(Prefer="wait=1")

    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert "preference-applied" not in answer.headers


async def test_headers_are_shown_to_pages_of_other_origins(site: Site):
    """Or JavaScript would not see when to poll."""
    instance = await site.start(allowed_origins=("https://shop.example",))
    caller = site.caller(instance)
    answer = await caller.create(Origin="https://shop.example")
    exposed = set(answer.headers["access-control-expose-headers"].split(", "))

    assert {
        "ETag",
        "Location",
        "Retry-After",
        "X-Poll-After-Ms",
        "Preference-Applied",
        "Idempotency-Replayed",
        "X-Run-Id",
        "X-Workflow-Run-Id",
        "RateLimit",
        "RateLimit-Policy",
    } <= exposed


async def test_bad_input_names_its_fields(alice: Caller):
    """As the type's own model has them."""
    for value, name in (({"rows": 0}, "input.rows"), ({"rows": "x"}, "input.rows"), (1, "input")):
        answer = await alice.http.post("/api/jobs", json={"type": "report", "input": value})
        assert answer.status_code == 422
        assert [error["field"] for error in answer.json()["errors"]] == [name]
    assert (await alice.ask()).json()["data"] == []


async def test_the_document_has_the_input_of_each_type_and_is_valid(alice: Caller):
    """So that generated clients know what to send, and what comes."""
    document = (await alice.http.get("/api/openapi.json")).json()
    (kind,) = document["components"]["schemas"]["JobBody"]["oneOf"]
    components = {"components": document["components"]}
    job = (await alice.create()).json()
    schema = {"$ref": "#/components/schemas/JobView", **components}

    assert [str(error) for error in OpenAPIV31SpecValidator(document).iter_errors()] == []
    assert kind["properties"]["type"] == {"const": "report"}
    assert kind["properties"]["input"] == {"$ref": "#/components/schemas/Report"}
    jsonschema.Draft202012Validator(schema).validate(job)
    assert {"200", "202", "422"} <= set(document["paths"]["/api/jobs"]["post"]["responses"])
    assert "304" in document["paths"]["/api/jobs/{job_id}"]["get"]["responses"]
