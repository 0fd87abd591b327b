"""What is published by one client is with the other at once."""

from __future__ import annotations

from statistics import median, quantiles
from time import perf_counter

import pytest

from tests.e2e.conftest import Start
from tests.support.publisher import Publisher
from tests.support.raw_reader import Reader, assert_each_once

EVENTS = 60
TOPIC = "public:latency"


@pytest.mark.alone
async def test_what_another_client_publishes_arrives_within_150_ms(
    start: Start, publisher: Publisher
) -> None:
    """Both at the same process: its own publishes wake its poller. 95th percentile."""
    server = start()
    async with Publisher(server) as client, Reader(server.url, server.token(), [TOPIC]) as reader:
        took = []
        for number in range(EVENTS):
            at = perf_counter()
            event_id = await client.publish(TOPIC, number)
            await reader.has(number + 1)
            took.append(reader.arrived[TOPIC, event_id] - at)

    p95 = quantiles(took, n=20)[-1]
    print(f"p50 {median(took) * 1000:.1f} ms, p95 {p95 * 1000:.1f} ms")
    assert_each_once([reader], client.published)
    assert p95 < 0.150
