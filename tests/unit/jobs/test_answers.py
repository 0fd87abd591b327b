"""Validators and preferences, as clients really send them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from api.jobs.http import answers
from api.jobs.model.job import Job, JobId
from api.jobs.store.cache import KnownJob

JOB = replace(Job.new(JobId("job_x"), "report", owner="alice", at_ms=1, max_attempts=1), version=3)


@pytest.mark.parametrize(
    ("prefer", "wait_s"),
    [
        (None, 0),
        ("", 0),
        ("wait=10", 10),
        ("Wait=10", 10),
        ("wait = 10", 10),
        ('wait="10"', 10),
        ("respond-async, wait=10", 10),
        ("wait=10; foo=bar", 10),
        ("respond-async;wait=10", 10),
        ("wait=10,wait=20", 10),
        ("wait", 0),
        ("wait=", 0),
        ("wait=soon", 0),
        ("wait=-1", 0),
        ("wait=1.5", 0),
        ("nowait=10", 0),
        ("wait=9999999", 0),
        ("respond-async", 0),
    ],
)
def test_a_preference_that_is_not_understood_is_none(prefer: str | None, wait_s: int):
    """RFC 7240: it is never an error."""
    assert answers.preferred_wait_s(prefer) == wait_s


def test_the_place_in_the_queue_is_part_of_the_validator():
    """While there is one that is known."""
    running = replace(JOB, status=JOB.status.RUNNING)
    seen = [KnownJob(JOB, 7, 0), KnownJob(JOB, None, 0), KnownJob(running, 7, 0)]

    assert [answers.etag_of(one) for one in seen] == ['W/"3.7"', 'W/"3"', 'W/"3"']


@pytest.mark.parametrize(
    ("header", "is_match"),
    [
        (None, False),
        ("", False),
        ('W/"3.7"', True),
        ('"3.7"', True),
        ('"1", W/"3.7"', True),
        ('W/"3"', False),
        ('W/"13.7"', False),
        ("3.7", False),
    ],
)
def test_validators_are_compared_weakly_and_whole(header: str | None, *, is_match: bool):
    """Proxies make strong ones weak and the other way round."""
    assert answers.matches(header, 'W/"3.7"') is is_match


@pytest.mark.parametrize(
    ("header", "version"),
    [
        (None, None),
        ('W/"3"', 3),
        ('W/"3.7"', 3),
        ('"abc", "5"', 5),
        ('W/"x"', None),
        ('"' + "9" * 40 + '"', None),
        ('"٣"', None),
        ("*", None),
    ],
)
def test_the_version_that_a_client_has_is_read_from_its_validator(
    header: str | None, version: int | None
):
    assert answers.version_in(header) == version


def test_the_validator_of_several_covers_each_id_and_version():
    other = replace(JOB, id=JobId("job_y"))
    etags = {
        answers.etag_of_all([JOB, other]),
        answers.etag_of_all([other, JOB]),
        answers.etag_of_all([JOB]),
        answers.etag_of_all([JOB], "job_y"),
        answers.etag_of_all([JOB, replace(other, version=4)]),
    }
    assert len(etags) == 5


def test_the_soonest_of_several_is_that_of_those_that_are_not_done():
    assert answers.soonest_ms([0, 900, 500]) == 500
    assert answers.soonest_ms([0, 0]) == answers.soonest_ms([]) == 0
