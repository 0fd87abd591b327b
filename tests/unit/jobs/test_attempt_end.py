"""What the end of an attempt makes of its job."""

from __future__ import annotations

from dataclasses import replace

import pytest

from api.jobs.model.handlers import JobFailed
from api.jobs.model.job import Job, JobError, JobStatus, job_id_of
from api.jobs.work import attempt_end
from api.jobs.work.attempt import StopReason
from api.jobs.work.attempt_end import Backoff

NOW_MS = 1_795_000_000_000
LONGEST = Backoff(first_s=2, chance=lambda: 1.0)
SHORTEST = Backoff(first_s=2, chance=lambda: 0.0)
AGAIN = JobError("busy", "It was busy", retryable=True)


@pytest.fixture
def running() -> Job:
    """The first of three attempts."""
    job = Job.new(job_id_of(NOW_MS, "a"), "report", owner="alice", at_ms=NOW_MS, max_attempts=3)
    return job.started(NOW_MS)


@pytest.mark.parametrize(
    ("attempt", "shortest_s", "longest_s"), [(1, 1, 2), (2, 2, 4), (3, 4, 8), (50, 150, 300)]
)
def test_pauses_double_up_to_five_minutes_and_half_of_them_is_jitter(
    attempt: int, shortest_s: float, longest_s: float
) -> None:
    """Jobs that failed together do not come back together."""
    assert SHORTEST.after(attempt) == shortest_s
    assert LONGEST.after(attempt) == longest_s


def test_a_failure_that_may_help_to_repeat_is_queued_for_its_next_attempt(running: Job) -> None:
    """Until the attempts are used up."""
    end = attempt_end.failed(AGAIN, NOW_MS, LONGEST)

    queued = end(running)
    last = end(replace(running, attempt=3))

    assert (queued.status, queued.next_attempt_ms) == (JobStatus.QUEUED, NOW_MS + 2000)
    assert (last.status, last.error) == (JobStatus.FAILED, AGAIN)


def test_a_failure_that_stays_is_final_at_once(running: Job) -> None:
    """Attempts left or not."""
    stays = replace(AGAIN, retryable=False)

    assert attempt_end.failed(stays, NOW_MS, LONGEST)(running).status is JobStatus.FAILED


@pytest.mark.parametrize("why", [StopReason.STOPPED, StopReason.TIMED_OUT, StopReason.CANCELED])
def test_a_job_that_was_asked_to_stop_is_canceled_whatever_ended_its_attempt(
    running: Job, why: StopReason
) -> None:
    """Nobody wants it to go on elsewhere."""
    asked = running.cancel_asked(NOW_MS)

    assert attempt_end.stopped(why, NOW_MS, LONGEST)(asked).status is JobStatus.CANCELED
    assert attempt_end.failed(AGAIN, NOW_MS, LONGEST)(asked).status is JobStatus.CANCELED


def test_a_stopped_worker_does_not_use_up_an_attempt_and_a_time_out_does(running: Job) -> None:
    """The one is our business, the other the job's."""
    stopped = attempt_end.stopped(StopReason.STOPPED, NOW_MS, LONGEST)(running)
    timed_out = attempt_end.stopped(StopReason.TIMED_OUT, NOW_MS, LONGEST)(running)

    assert (stopped.status, stopped.attempt) == (JobStatus.QUEUED, 0)
    assert (timed_out.status, timed_out.attempt) == (JobStatus.QUEUED, 1)


def test_only_what_a_handler_says_on_purpose_is_shown() -> None:
    """The text of any other exception may quote anything."""
    told = attempt_end.error_of(JobFailed("no-paper", "Fill the tray."), "ref-1")
    foreign = attempt_end.error_of(RuntimeError("password=hunter2"), "ref-2")

    assert (told.code, told.detail, told.retryable) == ("no-paper", "Fill the tray.", False)
    assert (foreign.code, foreign.detail, foreign.ref) == ("handler-error", None, "ref-2")
    assert foreign.retryable
