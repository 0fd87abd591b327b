"""Redis fails in every way there is: streams stay open, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from api.events.log.topic_log import TopicLog
from api.events.reasons import CloseReason
from api.events.stream.deadline import Deadline
from api.events.topic import TopicName
from tests.integration.events.conftest import Start, put
from tests.support.client import Client, Stream
from tests.support.instances import Instance
from tests.support.ledger import Ledger
from tests.support.upstash_server import UpstashServer

A, B = TopicName("public:a"), TopicName("public:b")
TOPICS = [A, B]

# Reads fail or crawl; publishes of other processes still get through.
READS_FAIL: list[dict[str, Any]] = [
    {"silent": -1, "only": ["XREAD"]},
    {"bad_gateway": -1, "only": ["XREAD"]},
    {"quota": -1, "only": ["XREAD"]},
    {"lose_replies": -1, "only": ["XREAD"]},
    {"cut": -1, "only": ["XREAD"]},
]
CRAWLS: list[dict[str, Any]] = [{"rtt_ms": 60}, {"throttle_ms": 80}]


def name_of(fault: dict[str, Any]) -> str:
    return next(iter(fault))


@pytest.fixture
async def instance(start: Start) -> Instance:
    return await start(redis_timeout_s=0.3)


class Reading:
    """A stream, and the ledger that checks its events while others are published."""

    def __init__(self, client: Client, log: TopicLog) -> None:
        self.ledger = Ledger()
        self._client = client
        self._log = log
        self._taken = 0
        self.stream: Stream

    def connect(self, cursor: str = "") -> None:
        self.stream, self._taken = self._client.stream(TOPICS, cursor), 0

    async def publish(self, count: int) -> None:
        for number in range(count):
            topic = TOPICS[number % 2]
            (event_id,) = await put(self._log, topic, number)
            self.ledger.publish(topic, str(event_id))

    async def until(self, condition: Callable[[], bool], timeout_s: float = 8) -> None:
        await self.stream.until(lambda _: self._take() or condition(), timeout_s)

    async def until_connected(self) -> None:
        await self.until(lambda: self._taken > 0)

    async def until_all(self) -> None:
        """Return when everything that was published has come."""
        seen, published = self.ledger.seen, self.ledger.published
        await self.until(lambda: all(seen[topic] == published[topic] for topic in TOPICS))

    def _take(self) -> bool:
        for frame in self.stream.frames[self._taken :]:
            self._taken += 1
            self.ledger.take(frame)
        return False


@pytest.fixture
def reading(instance: Instance, log: TopicLog) -> Reading:
    return Reading(Client(instance), log)


async def until_failing(instance: Instance) -> None:
    """Return when the poller has failed more than once."""
    errors = instance.services.metrics.poll_errors._value
    async with asyncio.timeout(5):
        while errors.get() < 2:
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("fault", READS_FAIL, ids=name_of)
async def test_a_stream_outlives_a_fault_of_the_store(
    fault: dict[str, Any], reading: Reading, instance: Instance, upstash: UpstashServer
):
    """It stays open, and what came meanwhile is delivered once, without a reset."""
    reading.connect()
    await reading.until_connected()
    await reading.publish(4)
    await reading.until_all()
    upstash.faults(**fault)
    await until_failing(instance)
    await reading.publish(6)
    assert not reading.stream.connection.is_done
    upstash.clear_faults()
    await reading.until_all()
    await reading.publish(2)
    await reading.until_all()

    assert (reading.ledger.resets, reading.ledger.byes) == ([], [])
    await reading.stream.close()


async def test_a_stream_outlives_a_store_that_refuses_connections(
    reading: Reading, instance: Instance, upstash: UpstashServer
):
    """As Redis does while it is restarted."""
    reading.connect()
    await reading.until_connected()
    upstash.faults(refuse=True)
    await until_failing(instance)
    assert not reading.stream.connection.is_done
    upstash.clear_faults()
    await reading.publish(4)
    await reading.until_all()

    assert (reading.ledger.resets, reading.ledger.byes) == ([], [])
    await reading.stream.close()


@pytest.mark.parametrize("fault", CRAWLS, ids=name_of)
async def test_a_slow_store_makes_events_late_and_loses_none(
    fault: dict[str, Any], reading: Reading, upstash: UpstashServer
):
    """For the reader that is no fault at all."""
    reading.connect()
    await reading.until_connected()
    upstash.faults(**fault)
    for _ in range(3):
        await reading.publish(2)
        await reading.until_all()

    assert (reading.ledger.resets, reading.ledger.byes) == ([], [])
    await reading.stream.close()


@pytest.mark.parametrize("fault", [*READS_FAIL, {"refuse": True}], ids=name_of)
async def test_a_reader_that_comes_during_a_fault_is_kept_and_served_afterwards(
    fault: dict[str, Any], reading: Reading, upstash: UpstashServer
):
    """It resumes where it was, and its stream is open all the time."""
    reading.connect()
    await reading.until_connected()
    cursor = reading.stream.cursor
    await reading.stream.close()
    await reading.publish(6)
    upstash.faults(**fault)
    reading.connect(cursor)
    await reading.stream.until(lambda one: one.comments == 1)
    await asyncio.sleep(0.1)
    assert not reading.stream.connection.is_done
    upstash.clear_faults()
    await reading.until_all()

    assert (reading.ledger.resets, reading.ledger.byes) == ([], [])
    await reading.stream.close()


@pytest.mark.parametrize("fault", READS_FAIL, ids=name_of)
async def test_a_fault_in_the_middle_of_a_long_catch_up_repeats_nothing(
    fault: dict[str, Any], reading: Reading, upstash: UpstashServer
):
    """It goes on with the page that failed."""
    reading.connect()
    await reading.until_connected()
    cursor = reading.stream.cursor
    await reading.stream.close()
    await reading.publish(500)
    reading.connect(cursor)
    await reading.until(lambda: len(reading.ledger.seen[A]) >= 100)
    upstash.faults(**fault)
    await asyncio.sleep(0.05)
    upstash.clear_faults()
    await reading.until_all()

    assert (reading.ledger.resets, reading.ledger.byes) == ([], [])
    await reading.stream.close()


async def test_faults_that_come_and_go_lose_nothing(reading: Reading, upstash: UpstashServer):
    """One kind of fault after the other, while events keep coming."""
    reading.connect()
    await reading.until_connected()
    for fault in [*READS_FAIL, *CRAWLS] * 2:
        upstash.faults(**fault)
        await reading.publish(3)
        await asyncio.sleep(0.02)
        upstash.clear_faults()
    await reading.until_all()

    assert (reading.ledger.resets, reading.ledger.byes) == ([], [])
    await reading.stream.close()


@pytest.mark.parametrize("fault", [*READS_FAIL, {"refuse": True}], ids=name_of)
async def test_a_stream_ends_on_purpose_although_the_store_is_away(
    fault: dict[str, Any], start: Start, upstash: UpstashServer
):
    """A `bye` needs no Redis, and the resume loses nothing."""
    instance = await start(lambda _: Deadline(0.4, CloseReason.ROTATE), redis_timeout_s=0.2)
    log = instance.services.streaming.log
    stream = await Client(instance).stream(TOPICS).until_connected()
    await put(log, A, 1)
    await stream.until_events(1)
    upstash.faults(**fault)
    await stream.until_end()
    upstash.clear_faults()
    await put(log, A, 2)

    assert stream.bye["reason"] == "rotate"
    answer = (await Client(instance).poll(TOPICS, stream.cursor)).json()
    assert [event["data"] for event in answer["events"]] == [2]


@pytest.mark.parametrize("fault", READS_FAIL, ids=name_of)
async def test_a_poll_during_a_fault_is_a_problem_in_time(
    fault: dict[str, Any], instance: Instance, upstash: UpstashServer
):
    """Whether it waits for news or not; its cursor does not move."""
    client = Client(instance)
    cursor = (await client.poll(TOPICS)).json()["cursor"]
    await put(instance.services.streaming.log, A, 1)
    upstash.faults(**fault)
    async with asyncio.timeout(3):
        answers = [await client.poll(TOPICS, cursor, wait=wait) for wait in (0, 1)]
    upstash.clear_faults()
    after = (await client.poll(TOPICS, cursor)).json()

    assert {answer.status_code for answer in answers} == {503}
    assert [event["data"] for event in after["events"]] == [1]


async def test_a_bug_in_a_poll_does_not_end_the_poller(
    instance: Instance, reading: Reading, monkeypatch: Any
):
    """Without it no reader of the process would get anything."""
    reading.connect()
    await reading.until_connected()

    async def broken(*_: Any, **__: Any) -> Any:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(TopicLog, "read_after", broken)
        await until_failing(instance)
    await reading.publish(2)
    await reading.until_all()
    await reading.stream.close()
