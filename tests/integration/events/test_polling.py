"""JSON polls: the same events behind the same cursor, in one answer."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

import pytest

from api.events.http.read import MAX_EVENTS
from api.events.topic import TopicName, log_key
from api.services import build_services
from api.system import System
from api.upstash import UpstashClient
from tests.integration.events.conftest import Start, put
from tests.support.client import Client
from tests.support.instances import Instance, settings_for
from tests.support.upstash_server import UpstashServer
from tests.unit.security.support import FakeClock

A, B = TopicName("public:a"), TopicName("public:b")


def data(answer: Any) -> list[Any]:
    return [event["data"] for event in answer["events"]]


async def cursor_of(client: Client, *topics: str) -> str:
    return str((await client.poll(topics or [A])).json()["cursor"])


async def test_a_first_poll_starts_now(client: Client, instance: Instance):
    """Older events are history, and only sent if asked for."""
    await put(instance.services.streaming.log, A, 1)
    answer = (await client.poll([A])).json()

    assert (answer["events"], answer["reset"]) == ([], None)
    assert answer["cursor"]


async def test_polls_go_on_from_cursor_to_cursor(client: Client, instance: Instance):
    """The cursor is in a header or in the query; the header wins."""
    log = instance.services.streaming.log
    old = await cursor_of(client)
    await put(log, A, 1)
    first = (await client.poll([A], cursor=old)).json()
    await put(log, A, 2)
    by_header = (await client.poll([A], first["cursor"])).json()
    by_query = (
        await client.http.get(
            "/api/events",
            params={"topic": A, "cursor": first["cursor"]},
            headers={"Accept": "application/json"},
        )
    ).json()
    both = await client.http.get(
        "/api/events",
        params={"topic": A, "cursor": old},
        headers={"Accept": "application/json", "Last-Event-ID": first["cursor"]},
    )

    assert (data(first), data(by_header), data(by_query), data(both.json())) == ([1], [2], [2], [2])


async def test_events_of_all_topics_come_in_the_order_of_their_ids(
    client: Client, instance: Instance
):
    """As in a stream."""
    log = instance.services.streaming.log
    cursor = await cursor_of(client, A, B)
    ids = []
    for number, topic in enumerate([A, B, A, B]):
        ids += await put(log, topic, number)
        await asyncio.sleep(0.002)  # ids of two topics are ordered by their milliseconds
    answer = (await client.poll([A, B], cursor)).json()

    assert data(answer) == [0, 1, 2, 3]
    assert [event["id"] for event in answer["events"]] == [str(one) for one in ids]


@pytest.mark.parametrize("wait", [0, 1])
async def test_an_unchanged_cursor_is_not_modified(wait: int, client: Client):
    """The ETag is that of the cursor; a 304 has no body and keeps the hint."""
    first = await client.poll([A], await cursor_of(client))
    etag = first.headers["ETag"]
    again = await client.poll([A], first.json()["cursor"], etag=etag, wait=wait)

    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == etag
    assert int(again.headers["X-Poll-After-Ms"]) > 0


async def test_a_changed_cursor_has_another_tag(client: Client, instance: Instance):
    """Also where the filter hides all new events."""
    first = await client.poll([A], await cursor_of(client))
    await put(instance.services.streaming.log, A, 1, kind="hidden")
    again = await client.poll(
        [A], first.json()["cursor"], etag=first.headers["ETag"], types="shown"
    )

    assert again.status_code == 200
    assert again.json()["events"] == []
    assert again.json()["cursor"] != first.json()["cursor"]


async def test_news_are_never_not_modified(client: Client, instance: Instance):
    """Whatever ETag the client sends."""
    cursor = await cursor_of(client)
    await put(instance.services.streaming.log, A, 1)
    answer = await client.poll([A], cursor)
    again = await client.poll([A], cursor, etag=answer.headers["ETag"])

    assert (again.status_code, data(again.json())) == (200, [1])


@pytest.mark.parametrize(("wait", "control"), [(0, "private, no-cache"), (1, "no-store")])
async def test_a_held_poll_is_not_cached_at_all(wait: int, control: str, client: Client):
    """Browsers let equal requests wait for one that may be cached."""
    answer = await client.poll([A], await cursor_of(client), wait=wait)

    assert answer.headers["Cache-Control"] == control
    assert "Accept" in answer.headers["Vary"]


async def test_a_filter_hides_events_and_the_cursor_passes_them(client: Client, instance: Instance):
    """They are not read again; the next event has a cursor behind them."""
    log = instance.services.streaming.log
    cursor = await cursor_of(client)
    for number, kind in enumerate(["a", "b", "c", "a"]):
        await put(log, A, number, kind=kind)
    answer = (await client.poll([A], cursor, types="a,c")).json()
    rest = (await client.poll([A], answer["cursor"])).json()

    assert data(answer) == [0, 2, 3]
    assert data(rest) == []


@pytest.mark.parametrize("is_watched", [False, True])
async def test_waiting_ends_as_soon_as_an_event_comes(
    is_watched: bool, client: Client, instance: Instance
):
    """Whether or not this process already follows the topic."""
    held = client.stream([A])
    await held.until_connected()
    if not is_watched:
        await held.close()
    cursor = await cursor_of(client)
    took = []
    for number in range(5):
        waiting = asyncio.create_task(client.poll([A], cursor, wait=20))
        await until_watched(instance)
        began = time.perf_counter()
        await put(instance.services.streaming.log, A, number)
        answer = (await waiting).json()
        took.append(time.perf_counter() - began)
        assert data(answer) == [number]
        cursor = answer["cursor"]

    assert max(took) < 0.15
    await held.close()


async def test_waiting_for_what_is_hidden_goes_on(client: Client, instance: Instance):
    """An event that the client does not want does not end the wait."""
    log = instance.services.streaming.log
    cursor = await cursor_of(client)
    waiting = asyncio.create_task(client.poll([A], cursor, wait=20, types="shown"))
    await until_watched(instance)
    await put(log, A, 1, kind="hidden")
    await until_read(instance)
    assert not waiting.done()
    await put(log, A, 2, kind="shown")

    assert data((await waiting).json()) == [2]


async def test_waiting_in_vain_ends_in_time_with_nothing(client: Client):
    """The answer has a cursor to go on from."""
    cursor = await cursor_of(client)
    began = time.perf_counter()
    answer = await client.poll([A], cursor, wait=1)

    assert 0.95 < time.perf_counter() - began < 1.3
    assert answer.json()["events"] == []
    assert answer.json()["cursor"] == cursor


async def test_waiting_without_a_cursor_starts_now(client: Client, instance: Instance):
    """The first answer may already have events."""
    waiting = asyncio.create_task(client.poll([A], wait=20))
    await until_watched(instance)
    await put(instance.services.streaming.log, A, 1)

    assert data((await waiting).json()) == [1]


async def test_waiting_leaves_nothing_watched(client: Client, instance: Instance):
    """Not even when the client leaves first."""
    waiting = asyncio.create_task(client.poll([A], wait=20))
    await until_watched(instance)
    waiting.cancel()
    await asyncio.wait([waiting])
    await client.poll([A], wait=1)

    assert not instance.services.streaming.hub.follows_anything


async def test_a_gap_is_told_and_ends_the_wait(
    client: Client, instance: Instance, redis: UpstashClient
):
    """With the reason, and where to fetch the state."""
    cursor = await cursor_of(client)
    await put(instance.services.streaming.log, A, 1, 2)
    await redis.write("XTRIM", log_key(A), "MAXLEN", 1)
    answer = (await client.poll([A], cursor, wait=20)).json()

    assert answer["events"] == []
    (reset,) = answer["reset"]
    assert (reset["topics"], reset["reason"]) == ([A], "trimmed")
    state = await client.http.get(reset["refetch"], headers={"Accept": "application/json"})
    assert data(state.json()) == [2]
    assert (await client.poll([A], answer["cursor"])).json()["reset"] is None


@pytest.mark.parametrize(
    ("count", "first"), [(MAX_EVENTS - 1, MAX_EVENTS - 1), (MAX_EVENTS + 300, MAX_EVENTS)]
)
async def test_a_long_backlog_comes_in_pages_without_a_pause(
    count: int, first: int, client: Client, instance: Instance
):
    """`poll_after_ms` 0 means: ask again at once."""
    cursor = await cursor_of(client)
    await put(instance.services.streaming.log, A, *range(count))
    one = (await client.poll([A], cursor)).json()
    two = (await client.poll([A], one["cursor"])).json()

    assert data(one) + data(two) == list(range(count))
    assert len(data(one)) >= first
    assert (one["poll_after_ms"] == 0) == (count > MAX_EVENTS)
    assert two["poll_after_ms"] > 0


async def test_the_hint_is_short_after_news_and_long_without(start: Start):
    """So clients poll often only while events come."""
    instance = await start(poll_idle_ms=9000)
    client = Client(instance)
    idle = (await client.poll([A])).json()
    await put(instance.services.streaming.log, A, 1)
    busy = (await client.poll([A], idle["cursor"])).json()

    assert 8000 < idle["poll_after_ms"] < 10_000
    assert 400 < busy["poll_after_ms"] < 600


@pytest.mark.parametrize(("asked", "expected"), [(1, [4]), (3, [2, 3, 4]), (10, [0, 1, 2, 3, 4])])
async def test_history_is_exactly_the_newest_oldest_first(
    asked: int, expected: list[int], client: Client, instance: Instance
):
    """Of all topics together, and only without a cursor."""
    await put(instance.services.streaming.log, A, *range(5))
    answer = (await client.poll([A], history=asked)).json()
    again = (await client.poll([A], answer["cursor"], history=asked)).json()

    assert (data(answer), data(again)) == (expected, [])


async def test_history_is_shared_by_the_topics(client: Client, instance: Instance):
    """They are the newest of all topics together, not of each."""
    log = instance.services.streaming.log
    await put(log, A, *range(5))
    await asyncio.sleep(0.002)
    await put(log, B, *range(5, 9))
    answer = (await client.poll([A, B], history=6)).json()

    assert data(answer) == [3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize(("count", "status"), [(1, 200), (50, 200), (51, 400)])
async def test_up_to_fifty_topics_are_read(count: int, status: int, client: Client):
    """One more is a problem that names the limit."""
    answer = await client.poll([f"public:{number}" for number in range(count)])

    assert answer.status_code == status


async def test_fifty_topics_go_on_together(client: Client, instance: Instance):
    """Their cursor fits into a header and names them all."""
    topics = [f"public:{number}" for number in range(50)]
    cursor = await cursor_of(client, *topics)
    for topic in topics:
        await put(instance.services.streaming.log, topic, topic)
    answer = (await client.poll(topics, cursor)).json()

    assert sorted(data(answer)) == sorted(topics)


@pytest.mark.parametrize("cursor", ["x", "AQ", "AgA", "a" * 5000, "%00", "é"])
async def test_a_bad_cursor_is_a_problem(cursor: str, client: Client):
    """It will not become right, so the answer is a status and not a stream."""
    answer = await client.http.get(
        "/api/events", params={"topic": A, "cursor": cursor}, headers={"Accept": "*/*"}
    )

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-cursor")


async def test_a_store_that_does_not_answer_is_a_problem(start: Start, upstash: UpstashServer):
    """503 with a time to come back, within the time-out."""
    client = Client(await start(redis_timeout_s=0.3))
    upstash.faults(silent=-1)
    answer = await client.poll([A])

    assert (answer.status_code, answer.json()["code"]) == (503, "store-unavailable")
    assert answer.headers["Retry-After"]


async def test_history_pages_lead_back_to_the_first_event(client: Client, instance: Instance):
    """Newest first; the last page says that it is the last."""
    stored = await put(instance.services.streaming.log, A, *range(7))
    before = ""
    seen: list[str] = []
    while True:
        query = {"limit": 3} | ({"before": before} if before else {})
        page = (await client.http.get(f"/api/events/{A}/history", params=query)).json()
        seen += [event["id"] for event in page["events"]]
        assert page["has_more"] == (page["before"] is not None)
        if not page["has_more"]:
            break
        before = page["before"]

    assert seen == [str(one) for one in reversed(stored)]


async def test_a_topic_without_events_has_an_empty_history(client: Client):
    """Whether it was ever used or not."""
    await client.poll([A])
    for topic in [A, B]:
        page = (await client.http.get(f"/api/events/{topic}/history")).json()
        assert page == {"events": [], "before": None, "has_more": False}


@pytest.mark.parametrize(
    ("before", "status"),
    [("1-0", 200), ("0-1", 200), ("0-0", 200), ("x", 400), ("18446744073709551616-0", 400)],
)
async def test_before_is_any_event_id(before: str, status: int, client: Client):
    """Any id is answered; what is no id is a 400."""
    answer = await client.http.get(f"/api/events/{A}/history", params={"before": before})

    assert answer.status_code == status
    assert status != 200 or answer.json()["events"] == []


async def until_watched(instance: Instance) -> None:
    """Return when a poll that waits has located its topics."""
    async with asyncio.timeout(5):
        while not instance.services.streaming.hub.follows_anything:
            await asyncio.sleep(0)


async def until_read(instance: Instance) -> None:
    """Return when the poller has read more of A than it has now."""
    hub = instance.services.streaming.hub
    start = hub.position(A)
    async with asyncio.timeout(5):
        while hub.position(A) == start:
            await asyncio.sleep(0.001)


async def test_a_held_poll_is_answered_when_the_process_drains(client: Client, instance: Instance):
    """Else a deploy would wait for it as long as it may wait."""
    cursor = await cursor_of(client)
    waiting = asyncio.create_task(client.poll([A], cursor, wait=20))
    async with asyncio.timeout(5):
        while not instance.services.streaming.hub.follows_anything:
            await asyncio.sleep(0.01)
    await instance.services.streaming.open_streams.drain(timeout_s=1)
    answer = await asyncio.wait_for(waiting, 2)
    late = await asyncio.wait_for(client.poll([A], cursor, wait=20), 2)

    assert answer.json()["cursor"] == late.json()["cursor"] == cursor


async def test_the_poller_goes_on_at_its_pace_when_the_wall_clock_is_set_back(
    upstash: UpstashServer,
):
    """NTP sets it back by a minute while events are published."""
    wall = FakeClock()
    system = replace(System.real(), clock=wall)
    services = build_services(settings_for(upstash, poll_min_ms=10, poll_idle_ms=20), system=system)
    streaming = services.streaming
    async with services.running():
        streaming.hub.watch([A])
        try:
            await streaming.hub.locate([A])
            for number in range(6):
                movement = streaming.hub.movement
                wall.advance(-60)
                await put(streaming.log, A, number)
                async with asyncio.timeout(5):
                    await movement.wait()
        finally:
            streaming.hub.unwatch([A])
