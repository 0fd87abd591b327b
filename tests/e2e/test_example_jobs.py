"""The examples, run by a real worker: what a client sees of each."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.container import Container
from tests.support.jobs import Job, JobCaller

ITEMS = [{"name": f"item {number}", "content": "abc"} for number in range(4)]


@pytest.fixture
async def alice(job_host: Container) -> AsyncIterator[JobCaller]:
    async with JobCaller(job_host) as caller:
        yield caller


async def seen(caller: JobCaller, job_id: str) -> list[Job]:
    """The states that long polls show, the last one done."""
    states: list[Job] = []

    def is_done(job: Job) -> bool:
        states.append(job)
        return bool(job["done"])

    await caller.until(job_id, is_done)
    return states


async def test_a_report_without_input_shows_steps_progress_and_a_result(alice: JobCaller) -> None:
    """From an empty input to a table."""
    states = await seen(alice, await alice.start("report"))
    last = states[-1]

    steps = [job["step"]["index"] for job in states if job["step"]]
    assert steps == sorted(steps)
    assert {1, 4} <= set(steps)
    progress = [job["progress"] for job in states if job["progress"] is not None]
    assert progress == sorted(progress)
    assert len(set(progress)) > 2
    assert (last["status"], last["progress"], last["error"]) == ("succeeded", 100, None)
    assert [one["group"] for one in last["result"]["table"]] == ["east", "north", "south", "west"]


async def test_a_missing_column_is_a_failure_that_says_so(alice: JobCaller) -> None:
    """At the first attempt, and for good."""
    job = await alice.done(await alice.start("report", csv="city,n\nBonn,1\n"))

    assert (job["status"], job["attempt"], job["result"]) == ("failed", 1, None)
    assert (job["error"]["code"], job["error"]["retryable"]) == ("missing-column", False)
    assert job["error"]["detail"] == "The table has no column 'region'. Its columns: city, n."


async def test_a_demonstrated_fault_is_retried_under_the_same_id(alice: JobCaller) -> None:
    """The first attempt fails half way; the second one has its own progress, and succeeds."""
    job_id = await alice.start("checksums", items=ITEMS, demo_failing_attempts=1)
    states = await seen(alice, job_id)

    waiting = [job for job in states if job["status"] == "queued" and job["attempt"] == 1]
    assert waiting
    assert waiting[0]["next_attempt_at"] is not None
    assert (states[-1]["status"], states[-1]["attempt"]) == ("succeeded", 2)
    assert states[-1]["result"]["failed"] == 0


async def test_a_failed_job_succeeds_when_its_owner_retries_it(alice: JobCaller) -> None:
    """All of its attempts are used up first."""
    job_id = await alice.start("checksums", items=ITEMS, demo_failing_attempts=3)
    failed = await alice.done(job_id)
    await alice.post(job_id, "retry")
    retried = await alice.done(job_id)

    assert (failed["status"], failed["attempt"]) == ("failed", 3)
    assert failed["error"]["code"] == "demonstration"
    assert (retried["status"], retried["attempt"]) == ("succeeded", 4)


async def test_cancel_ends_a_running_job_long_before_its_work_would(alice: JobCaller) -> None:
    """Between two pieces of a gigabyte."""
    job_id = await alice.start("checksums", items=[{"name": "large", "size": 1_000_000_000}])
    await alice.until(job_id, lambda job: (job["progress"] or 0) > 0)
    await alice.post(job_id, "cancel")
    job = await alice.done(job_id)

    assert (job["status"], job["cancel_requested"]) == ("canceled", True)
    assert job["progress"] < 100


async def test_the_types_tell_their_input(alice: JobCaller) -> None:
    """A form can be made of it."""
    types = (await alice.http.get("/api/jobs/types")).raise_for_status().json()["data"]

    schemas = {one["type"]: one["input"] for one in types}
    assert set(schemas) >= {"report", "checksums"}
    assert "group_by" in schemas["report"]["properties"]
    assert schemas["checksums"]["required"] == ["items"]
