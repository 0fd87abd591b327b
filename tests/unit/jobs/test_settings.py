"""Settings of the worker that must fit each other."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tests.support.instances import settings_for
from tests.support.upstash_server import UpstashServer


@pytest.fixture
def nowhere() -> UpstashServer:
    server = UpstashServer()
    server.url, server.token = "http://127.0.0.1:1", "t"
    return server


def test_a_lease_that_one_lost_heartbeat_would_end_is_refused(nowhere: UpstashServer) -> None:
    """Or jobs would go to others though their worker lives."""
    with pytest.raises(ValidationError, match="MILLRACE_JOB_LEASE_S"):
        settings_for(nowhere, job_lease_s=9, job_heartbeat_s=5)

    assert settings_for(nowhere, job_lease_s=10, job_heartbeat_s=5).job_lease_s == 10


@pytest.mark.parametrize(
    ("env", "said", "there"),
    [("local", None, True), ("production", None, False), ("production", True, True)],
)
def test_the_examples_are_there_in_local_mode_and_where_they_are_wanted(
    nowhere: UpstashServer, env: str, said: bool | None, there: bool
) -> None:
    """Production does not take orders for examples unless it is told to."""
    secret = "h7Qw2-unit-tests-only-c0ffee-0123456789"

    settings = settings_for(nowhere, env=env, secret=secret, example_jobs=said)

    assert settings.has_example_jobs is there
