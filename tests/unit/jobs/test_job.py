"""What may become of a job, without a store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.jobs.model.job import (
    RETRYABLE,
    TERMINAL,
    Job,
    JobError,
    JobId,
    JobStatus,
    NotAllowed,
    Progress,
    Step,
    created_ms_of,
    find_job_id,
    job_id_of,
)

NOW = 1_795_000_000_000
BOOM = JobError("boom", "It broke")
QUEUED = Job.new(JobId("job_x"), "report", owner="alice", at_ms=NOW, max_attempts=3)
RUNNING = QUEUED.started(NOW)

Act = Callable[[Job], Job]
ACTS: dict[str, Act] = {
    "start": lambda job: job.started(NOW),
    "progress": lambda job: job.progressed(Progress(1, 2)),
    "succeed": lambda job: job.succeeded(NOW),
    "fail": lambda job: job.failed(NOW, BOOM),
    "requeue": lambda job: job.requeued(NOW, next_attempt_ms=NOW + 1),
    "return": lambda job: job.returned(NOW),
    "cancel": lambda job: job.canceled(NOW),
    "expire": lambda job: job.expired(NOW),
    "retry": lambda job: job.retried(NOW),
}
ALLOWED = {
    JobStatus.QUEUED: {"start", "fail", "cancel", "expire"},
    JobStatus.RUNNING: {"start", "progress", "succeed", "fail", "requeue", "return", "cancel"},
    JobStatus.SUCCEEDED: set[str](),
    JobStatus.FAILED: {"retry"},
    JobStatus.CANCELED: {"retry"},
    JobStatus.EXPIRED: {"retry"},
}


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("status", JobStatus)
def test_a_status_allows_these_changes_and_no_others(status: JobStatus, act: str):
    """And a refusal shows the state that refuses."""
    job = replace(RUNNING, status=status)
    if act in ALLOWED[status]:
        assert ACTS[act](job) is not job
    else:
        with pytest.raises(NotAllowed) as refused:
            ACTS[act](job)
        assert refused.value.job is job


@pytest.mark.parametrize("status", JobStatus)
def test_cancelling_is_harmless_at_any_time(status: JobStatus):
    """It ends what waits, asks what runs, and leaves what is done."""
    job = replace(RUNNING, status=status)
    asked = job.cancel_asked(NOW)

    assert (asked is job) == (status in TERMINAL)
    assert asked.status is (JobStatus.CANCELED if status is JobStatus.QUEUED else status)
    assert asked.cancel_asked(NOW) is asked


def test_an_attempt_begins_with_nothing_of_the_last():
    """Progress, step, message and pause are those of one attempt."""
    step = Step("load", 1, 3, "Loading")
    tried = RUNNING.progressed(Progress(2, 3), step=step, message="on it")
    again = tried.requeued(NOW, next_attempt_ms=NOW + 5).started(NOW + 6)

    assert (again.attempt, again.started_ms) == (2, NOW + 6)
    assert (again.progress, again.step, again.message, again.next_attempt_ms) == (None,) * 4


def test_an_attempt_that_the_worker_had_to_leave_does_not_count():
    """A deploy must not use up a job's attempts."""
    assert RUNNING.returned(NOW).attempt == QUEUED.attempt


def test_a_retry_by_the_caller_is_a_new_round():
    """With as many attempts as the first one had."""
    job = QUEUED
    for _ in range(3):
        assert job.has_attempts_left
        job = job.started(NOW).requeued(NOW, next_attempt_ms=NOW)
    assert not job.has_attempts_left
    again = job.failed(NOW, BOOM).retried(NOW + 9)

    assert (again.attempt, again.max_attempts, again.queued_ms) == (3, 6, NOW + 9)
    assert (again.error, again.finished_ms, again.cancel_requested) == (None, None, False)


@given(st.lists(st.tuples(st.floats(-10, 200), st.floats(-10, 100)), max_size=20))
def test_progress_never_falls_and_stays_between_0_and_100(reports: list[tuple[float, float]]):
    """Whatever the handler reports."""
    job, before = RUNNING, 0
    for done, total in reports:
        job = job.progressed(Progress(done, total))
        assert job.progress is not None
        assert before <= job.progress <= 100
        before = job.progress


def test_progress_that_says_nothing_new_changes_nothing():
    """So it is neither written nor seen."""
    job = RUNNING.progressed(Progress(1, 2, "half"), step=Step("a", 1, 2, "A"))

    assert job.progressed(Progress(1, 2, "half")) is job
    assert job.progressed(Progress(0, 2)) is job
    assert job.progressed(message="half") is job
    assert job.progressed(message="x" * 300).message == "x" * 200


def test_success_is_all_of_it():
    assert RUNNING.succeeded(NOW).progress == 100
    assert JobStatus.SUCCEEDED not in RETRYABLE


times = st.integers(0, 2**48 - 1)


@given(times, times, st.text(max_size=40))
def test_ids_sort_by_time_and_tell_it(early: int, late: int, seed: str):
    """As ULIDs, with a prefix that says what they are."""
    first, second = job_id_of(early, seed), job_id_of(late, seed)

    assert find_job_id(first) == first
    assert created_ms_of(first) == early
    assert (first < second) == (early < late)


def test_ids_of_one_moment_differ_by_80_bits():
    """Nobody guesses another's id."""
    ids = {job_id_of(NOW, str(n)) for n in range(1000)}

    assert len({one[-16:] for one in ids}) == 1000
    assert {len(one) for one in ids} == {30}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "job_",
        "0" * 26,
        f"job_{'0' * 25}",
        f"job_{'0' * 27}",
        f"job_8{'0' * 25}",
        f"job_{'I' * 26}",
        f"job_{'a' * 26}",
        f"job_job_{'0' * 22}",
        f"job_{'0' * 25}\n",
        f"job_{'٣' * 26}",
    ],
)
def test_what_is_no_id_never_reaches_the_store(text: str):
    assert find_job_id(text) is None


def test_every_whole_percentage_is_told_as_it_is() -> None:
    """29 of 100 is 29 %, though 29 / 100 * 100 is a little less in binary fractions."""
    assert [Progress(done, 100).percent for done in range(101)] == list(range(101))
