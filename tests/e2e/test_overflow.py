"""A reader that stops reading harms nobody, and loses nothing."""

from __future__ import annotations

from statistics import quantiles
from time import perf_counter

import pytest

from tests.e2e.conftest import Start
from tests.support.container import Container
from tests.support.publisher import Publisher
from tests.support.raw_reader import Reader, assert_each_once, reading

READERS = 5
EVENTS = 500
EVENT_BYTES = 50_000
BURST_BYTES = EVENTS * EVENT_BYTES
CALM, STALLED = "public:overflow:calm", "public:overflow:stalled"


@pytest.mark.alone  # it measures time
async def test_a_reader_that_stops_reading_is_ended_and_harms_nobody(
    start: Start, elsewhere: Container, publisher: Publisher
) -> None:
    """It gets `bye overflow` and later every event; the others are as fast as without it."""
    server, token = start(lag_max_bytes=65_536, poll_min_ms=10), elsewhere.token()
    others = [Reader(server.url, token, [CALM]) for _ in range(READERS)]
    async with reading(others):
        calm_ms = await burst_p95_ms(publisher, others, CALM)
    before = server.rss_bytes
    others = [Reader(server.url, token, [STALLED]) for _ in range(READERS)]
    slow = Reader(server.url, token, [STALLED], small_buffer=True)
    async with reading([slow, *others]):
        slow.stop_reading()
        stalled_ms = await burst_p95_ms(publisher, others, STALLED)
        grown = server.rss_bytes - before
        slow.read_on()
        await slow.has(EVENTS)

    print(f"p95 {calm_ms:.0f} ms without, {stalled_ms:.0f} ms with; {grown / 1e6:.1f} MB more")
    assert [bye.reason for bye in slow.byes] == ["overflow"]
    assert_each_once([slow, *others], publisher.published)
    assert stalled_ms < 2 * calm_ms + 50
    assert grown < BURST_BYTES / 2


async def test_a_reader_that_pauses_goes_on_from_the_backlog_of_the_same_stream(
    start: Start, publisher: Publisher
) -> None:
    """Within MILLRACE_LAG_MAX_BYTES nothing is ended, lost or repeated."""
    server = start(lag_max_bytes=BURST_BYTES)
    token, topic = server.token(), "public:overflow:paused"
    slow = Reader(server.url, token, [topic], small_buffer=True)
    fast = Reader(server.url, token, [topic])
    async with reading([slow, fast]):
        slow.stop_reading()
        await publisher.burst([topic], 60, {"text": "x" * EVENT_BYTES}, at_once=10)
        await fast.has(60)
        slow.read_on()
        await slow.has(60)
        await publisher.burst([topic], 10)
        await slow.has(70)
        await fast.has(70)

    assert_each_once([slow, fast], publisher.published)
    assert (slow.byes, slow.tries) == ([], 1)


async def burst_p95_ms(publisher: Publisher, others: list[Reader], topic: str) -> float:
    """Publish the burst; the 95th percentile of the time to each of the readers."""
    sent: dict[str, float] = {}
    for _ in range(EVENTS // 10):
        at = perf_counter()
        await publisher.burst([topic], 10, {"text": "x" * EVENT_BYTES}, at_once=10)
        sent.update(dict.fromkeys(publisher.published[topic][-10:], at))
        for reader in others:
            await reader.has(len(sent))
    took = [reader.arrived[topic, one] - at for reader in others for one, at in sent.items()]
    return quantiles(took, n=20)[-1] * 1000
