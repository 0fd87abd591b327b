"""When clients are told to come back."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from api.jobs.model.job import TERMINAL, Job, JobId, JobStatus
from api.jobs.model.view import PollHints, retry_after_s
from tests.unit.security.support import FakeClock

CLOCK = FakeClock()
AT_MS = int(CLOCK() * 1000)
JOB = Job.new(JobId("job_x"), "report", owner="alice", at_ms=AT_MS, max_attempts=1)


class Middle(random.Random):
    """Chance that is always in the middle."""

    def uniform(self, a: float, b: float) -> float:
        return (a + b) / 2


def hint(age_s: float, *, position: int | None = None, is_shedding: bool = False) -> int:
    job = replace(JOB, queued_ms=AT_MS - int(age_s * 1000))
    return PollHints(CLOCK, Middle(), lambda: is_shedding).poll_after_ms(job, position=position)


@pytest.mark.parametrize(
    ("age_s", "after_ms"),
    [
        (-5, 500),
        (0, 500),
        (2.9, 500),
        (3, 1000),
        (29, 1000),
        (30, 2500),
        (299, 2500),
        (300, 10_000),
        (86_400, 10_000),
    ],
)
def test_hints_grow_with_the_age(age_s: float, after_ms: int):
    """Soon for what is probably short, seldom for what takes long."""
    assert hint(age_s) == after_ms


def test_far_back_in_the_queue_and_under_load_one_comes_less_often():
    assert [hint(0, position=position) for position in (0, 10, 11)] == [500, 500, 1000]
    assert hint(0, is_shedding=True) == 2000
    assert hint(300, position=11, is_shedding=True) == 80_000


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_there_is_no_next_poll_for_what_is_done(status: JobStatus):
    assert PollHints(CLOCK, Middle()).poll_after_ms(replace(JOB, status=status)) == 0


def test_hints_are_spread_by_a_tenth():
    """Clients that began together must not stay together."""
    hints = PollHints(CLOCK, random.Random(1))
    seen = [hints.poll_after_ms(JOB) for _ in range(500)]

    assert 450 <= min(seen) < 460
    assert 540 < max(seen) <= 550


@pytest.mark.parametrize(("ms", "seconds"), [(0, 1), (450, 1), (1000, 1), (1001, 2), (9999, 10)])
def test_the_header_is_in_whole_seconds_and_never_zero(ms: int, seconds: int):
    """`Retry-After: 0` would be a storm."""
    assert retry_after_s(ms) == seconds
