"""Messages of the queue in SQS."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from api.jobs.model.job import job_id_of
from functions.sqs import delivery_of

JOB = job_id_of(1, "a")


def test_a_message_is_a_delivery_with_its_count() -> None:
    """The count is SQS's own."""
    delivery = delivery_of(f'{{"job":"{JOB}"}}', "r", {"ApproximateReceiveCount": "3"})

    assert delivery is not None
    assert (delivery.job_id, delivery.receipt, delivery.receives) == (JOB, "r", 3)


@pytest.mark.parametrize(
    "body", ["", "no JSON", "[]", '{"job":1}', '{"job":"job_1"}', '{"task":"x"}', '"\\ud800"']
)
def test_a_message_that_is_no_job_is_none_and_is_not_quoted(body: str) -> None:
    """Whatever somebody has put into the queue."""
    with capture_logs() as logs:
        assert delivery_of(body, "r", {}) is None

    assert logs == [{"event": "queue.foreign_entry", "log_level": "warning"}]
