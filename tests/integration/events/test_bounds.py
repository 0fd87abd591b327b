"""For one reader a bounded number of bytes is in memory, however much the log holds."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Iterator

import pytest

from api.events.cursor import Cursor, CursorWriter
from api.events.event import EventId
from api.events.live.catch_up import CatchUp
from api.events.log.page import ANSWER_BYTES, STEP_BYTES, TOPIC_BYTES
from api.events.read_request import ReadRequest
from api.events.topic import TopicName
from api.upstash import UpstashClient
from tests.integration.events.conftest import put_at
from tests.support.client import Client
from tests.support.instances import Instance

LARGE = 60_000
TOPICS = [TopicName(f"public:{number}") for number in range(10)]
MB = 1_048_576


@pytest.fixture
async def large_logs(redis: UpstashClient) -> None:
    """Ten topics with a hundred large events each."""
    for topic in TOPICS:
        for first in range(1, 101, 20):
            await put_at(redis, topic, *range(first, first + 20), size=LARGE)


@pytest.fixture
def traced() -> Iterator[None]:
    gc.collect()
    tracemalloc.start()
    yield
    tracemalloc.stop()


def from_the_start() -> Cursor:
    text = CursorWriter(dict.fromkeys(TOPICS, EventId(1, 0))).text().decode()
    return Cursor.parse(text)


@pytest.mark.usefixtures("large_logs")
async def test_a_step_of_a_reader_that_catches_up_is_bounded_in_bytes_and_loses_nothing(
    instance: Instance,
):
    """While a reader does not read, one step of it is in memory."""
    streaming = instance.services.streaming
    catchup = CatchUp(
        streaming.hub, streaming.log, ReadRequest.of(TOPICS, from_the_start(), history=0)
    )
    await catchup.begin()
    seen: dict[str, list[int]] = {topic: [] for topic in TOPICS}
    held = []
    while (batch := await catchup.step()) is not None:
        assert not batch.restarts
        held.append(sum(len(event.body) for event in batch.events))
        for event in batch.events:
            seen[event.topic].append(event.id.ms)

    assert max(held) <= STEP_BYTES
    assert all(ids == list(range(2, 101)) for ids in seen.values())


@pytest.mark.usefixtures("large_logs", "traced")
async def test_many_readers_that_do_not_read_hold_little_each_before_they_are_fed(
    instance: Instance,
):
    """They resume over a large log, and of each one step is in memory."""
    steps = []
    for _ in range(20):
        streaming = instance.services.streaming
        catchup = CatchUp(
            streaming.hub, streaming.log, ReadRequest.of(TOPICS, from_the_start(), history=0)
        )
        await catchup.begin()
        steps.append(await catchup.step())
    await asyncio.sleep(0)  # the loop holds the last reply until whoever it woke waits again
    gc.collect()

    # A step holds each event twice, as data and as it is sent.
    assert tracemalloc.get_traced_memory()[0] < len(steps) * 2 * STEP_BYTES + MB


@pytest.mark.usefixtures("large_logs", "traced")
async def test_streams_whose_clients_do_not_read_hold_little_each(client: Client):
    """They resume over a large log, and each connection takes nothing after its first bytes."""
    cursor = CursorWriter(dict.fromkeys(TOPICS, EventId(1, 0))).text().decode()
    streams = [client.stream(TOPICS, cursor, stalls=True) for _ in range(20)]
    async with asyncio.timeout(20):
        while not all(len(one.connection.pending) > LARGE for one in streams):
            await asyncio.gather(*(one.connection.wait(20) for one in streams))
    await asyncio.sleep(0)
    gc.collect()
    held = tracemalloc.get_traced_memory()[0]
    for one in streams:
        await one.close()

    # A step as above and its frames, and what stands in the connection.
    assert held < len(streams) * 4 * STEP_BYTES + MB


@pytest.mark.usefixtures("large_logs")
async def test_a_history_of_several_topics_is_the_newest_without_a_hole(
    client: Client, redis: UpstashClient
):
    """Where one topic has more than its share of the answer, the others end there too."""
    quiet = TopicName("public:quiet")
    await put_at(redis, quiet, 1, 50, 99, 200)
    everything = [(number, topic) for topic in TOPICS for number in range(1, 101)]
    everything += [(number, quiet) for number in (1, 50, 99, 200)]
    answer = await client.poll([*TOPICS, quiet], history=100)
    got = [(int(one["id"].split("-")[0]), one["topic"]) for one in answer.json()["events"]]
    newest = sorted(number for number, _ in everything)[-len(got) :]

    assert (200, quiet) in got
    assert [number for number, _ in got] == newest
    assert len(set(got)) == len(got)


@pytest.mark.usefixtures("large_logs", "traced")
async def test_a_json_answer_with_history_is_bounded_in_bytes(client: Client):
    """Many topics, many events, all of them large: it has the newest that fit."""
    tracemalloc.reset_peak()
    answer = await client.poll(TOPICS, history=100)
    events = answer.json()["events"]

    assert len(answer.content) <= ANSWER_BYTES + 10_000
    assert {event["id"] for event in events} >= {"100-0"}
    # Of replies, JSON text and events of ten topics; the logs hold 60 MB.
    assert tracemalloc.get_traced_memory()[1] < 40 * MB


async def test_a_history_of_many_topics_is_bounded_as_a_whole(client: Client, redis: UpstashClient):
    """Each is within its share, but all of them would not fit: the newest events do."""
    topics = [TopicName(f"public:{number}") for number in range(50)]
    for number, topic in enumerate(topics, start=1):
        await put_at(redis, topic, number, size=LARGE)
    answer = await client.poll(topics, history=100)
    ids = [event["id"] for event in answer.json()["events"]]

    assert ANSWER_BYTES - LARGE < len(answer.content) <= ANSWER_BYTES + 10_000
    assert ids == [f"{number}-0" for number in range(51 - len(ids), 51)]


@pytest.mark.usefixtures("large_logs")
async def test_a_poll_from_an_old_cursor_is_bounded_in_bytes_and_says_that_there_is_more(
    client: Client,
):
    """A client that asks again at once gets the rest."""
    cursor = CursorWriter(dict.fromkeys(TOPICS, EventId(1, 0))).text().decode()
    answer = await client.poll(TOPICS, cursor=cursor)

    assert len(answer.content) <= ANSWER_BYTES + STEP_BYTES + 10_000
    assert answer.json()["poll_after_ms"] == 0


@pytest.mark.usefixtures("large_logs")
async def test_a_page_of_the_past_is_bounded_in_bytes_and_goes_on(client: Client):
    """A page with fewer events than asked for need not be the last."""
    topic, before, seen = TOPICS[0], "", list[str]()
    while True:
        query = {"limit": "100", **({"before": before} if before else {})}
        answer = await client.http.get(f"/api/events/{topic}/history", params=query)
        page = answer.json()
        assert len(answer.content) <= max(ANSWER_BYTES, TOPIC_BYTES) + 10_000
        seen += [event["id"] for event in page["events"]]
        if not page["has_more"]:
            break
        before = page["before"]

    assert seen == [f"{number}-0" for number in range(100, 0, -1)]
