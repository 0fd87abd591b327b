"""Publishing: an event is stored once where that is promised, and never sent twice unasked."""

from __future__ import annotations

import asyncio
import time

import pytest

from api.events.topic import TopicName, log_key
from api.upstash import UpstashClient
from tests.integration.events.conftest import Start
from tests.support.client import Client
from tests.support.instances import Instance
from tests.support.upstash_server import UpstashServer

A, B = TopicName("public:a"), TopicName("public:b")


async def stored(redis: UpstashClient, topic: TopicName = A) -> list[str]:
    rows = await redis.read("XRANGE", log_key(topic), "-", "+")
    return [entry_id for entry_id, _ in rows]


async def test_twenty_publishes_with_a_key_and_lost_replies_store_twenty(
    client: Client, redis: UpstashClient, upstash: UpstashServer
):
    """Each is repeated inside, and its answer has the id of the one entry."""
    answered = []
    for number in range(20):
        upstash.faults(lose_replies=1, only=["EVAL"])
        response = await client.publish(A, number, key=f"k{number}")
        assert response.status_code == 201
        answered.append(response.json()["id"])

    assert await stored(redis) == answered
    assert len(set(answered)) == 20


async def test_twenty_at_once_with_one_key_store_one(client: Client, redis: UpstashClient):
    """All get the id of the first; all others are told that they were repeats."""
    responses = await asyncio.gather(*(client.publish(A, 1, key="k") for _ in range(20)))

    assert {response.json()["id"] for response in responses} == set(await stored(redis))
    replayed = [response.headers.get("Idempotency-Replayed") for response in responses]
    assert sorted(map(str, replayed)) == ["None"] + ["true"] * 19


@pytest.mark.parametrize("fault", ["lose_replies", "cut", "silent", "bad_gateway"])
async def test_a_plain_publish_without_an_answer_is_uncertain(
    fault: str, start: Start, redis: UpstashClient, upstash: UpstashServer
):
    """The problem says so, and the event is not sent again unasked."""
    client = Client(await start(redis_timeout_s=0.4))
    upstash.faults(**{fault: 1}, only=["XADD"])
    response = await client.publish(A, 1)

    assert response.status_code == 503
    assert response.json()["code"] == "publish-uncertain"
    assert response.headers["Retry-After"]
    upstash.clear_faults()
    assert len(await stored(redis)) == (fault in {"lose_replies", "cut"})


async def test_a_publish_that_was_refused_is_not_uncertain(
    client: Client, redis: UpstashClient, upstash: UpstashServer
):
    """Nothing was stored, so sending it again is safe."""
    upstash.faults(quota=-1)
    response = await client.publish(A, 1)
    upstash.clear_faults()

    assert (response.status_code, response.json()["code"]) == (503, "store-unavailable")
    assert await stored(redis) == []


async def test_a_key_belongs_to_its_topic_and_its_caller(instance: Instance):
    """Two callers may use the same key, as may one caller on two topics."""
    one, two = Client(instance), Client(instance, instance.token("other"))
    ids = {
        (await one.publish(A, 1, key="k")).json()["id"],
        (await one.publish(B, 1, key="k")).json()["id"],
        (await two.publish(A, 1, key="k")).json()["id"],
    }

    assert len(ids) == 3


@pytest.mark.parametrize("change", [{"data": 2}, {"kind": "tock"}])
async def test_a_key_with_another_body_is_refused(change: dict[str, object], client: Client):
    """Else the caller would believe that the second event was stored."""
    await client.publish(A, 1, key="k")
    response = await client.publish(A, **{"data": 1, "key": "k", **change})  # type: ignore[arg-type]

    assert (response.status_code, response.json()["code"]) == (422, "idempotency-key-reused")


async def test_an_event_beyond_the_limit_is_refused(start: Start, redis: UpstashClient):
    """The limit counts the bytes that are stored, exactly."""
    client = Client(await start(max_event_bytes=256))
    room = 256 - len('{"type":"tick","data":""}')

    fits = await client.publish(A, "x" * room)
    not_quite = await client.publish(A, "x" * (room + 1))
    wide = await client.publish(A, "é" * (room // 2 + 1))

    assert [one.status_code for one in (fits, not_quite, wide)] == [201, 413, 413]
    assert len(await stored(redis)) == 1


async def test_a_batch_has_a_result_for_each_event_in_order(client: Client, redis: UpstashClient):
    """The good ones are stored although others are not."""
    events = [
        {"topic": A, "type": "tick", "data": 0},
        {"topic": "not a topic", "type": "tick"},
        {"topic": A, "type": "bye"},
        {"topic": B, "type": "tick", "idempotency_key": "k"},
        {"topic": A, "type": "tick", "data": "x" * 70_000},
        {"topic": A, "type": "tick", "data": 1},
    ]
    response = await client.http.post("/api/events", json={"events": events})

    results = response.json()["results"]
    assert [one["status"] for one in results] == [201, 400, 422, 201, 413, 201]
    assert [results[0]["id"], results[5]["id"]] == await stored(redis)
    assert [results[3]["id"]] == await stored(redis, B)
    assert results[2]["problem"]["code"] == "reserved-event-type"


async def test_a_batch_keeps_the_order_of_a_topic(client: Client, redis: UpstashClient):
    """Also where events with and without a key take turns."""
    events = [
        {"topic": A, "type": "tick", "data": n}
        | ({"idempotency_key": f"k{n}"} if n % 3 == 0 else {})
        for n in range(10)
    ]
    response = await client.http.post("/api/events", json={"events": events})

    assert [one["id"] for one in response.json()["results"]] == await stored(redis)


async def test_a_batch_without_an_answer_is_uncertain_item_by_item(
    client: Client, redis: UpstashClient, upstash: UpstashServer
):
    """Events with a key are certain, because they were sent again."""
    upstash.faults(lose_replies=1, only=["XADD"])
    events = [
        {"topic": A, "type": "tick", "data": 1},
        {"topic": A, "type": "tick", "data": 2},
        {"topic": B, "type": "tick", "idempotency_key": "k"},
    ]
    response = await client.http.post("/api/events", json={"events": events})

    results = response.json()["results"]
    assert [one["status"] for one in results] == [503, 503, 201]
    assert results[0]["problem"]["code"] == "publish-uncertain"
    assert len(await stored(redis)) == 2
    assert len(await stored(redis, B)) == 1


async def test_own_readers_get_an_event_without_waiting_for_the_next_poll(start: Start):
    """Whatever the pace of the poller."""
    client = Client(await start(poll_min_ms=5000, poll_idle_ms=60_000))
    async with client.stream([A]) as held:
        for number in range(5):
            began = time.perf_counter()
            await client.publish(A, number, key="k" if number == 2 else "")
            await held.until_events(number + 1)
            assert time.perf_counter() - began < 0.5


async def test_a_doorbell_wakes_other_processes(start: Start, redis: UpstashClient):
    """By polls alone they would take half a minute."""
    publishing = Client(await start(doorbell=True))
    reading = await start(doorbell=True, poll_min_ms=5000, poll_idle_ms=60_000)
    async with Client(reading).stream([A]) as held:
        await until_doorbell_is_connected(reading)
        for number in range(4):
            await publishing.publish(A, number, key="k" if number == 2 else "")
            await held.until_events(number + 1, timeout_s=2)


async def test_a_wake_up_is_sent_after_a_lost_reply_too(start: Start, upstash: UpstashServer):
    """The event was stored by the first try, and nobody else sends a wake-up for it."""
    publishing = Client(await start(doorbell=True))
    reading = await start(doorbell=True, poll_min_ms=5000, poll_idle_ms=60_000)
    async with Client(reading).stream([A]) as held:
        await until_doorbell_is_connected(reading)
        await publishing.publish(A, 0)
        await held.until_events(1)
        upstash.faults(lose_replies=1, only=["EVAL"])
        assert (await publishing.publish(A, 1, key="k")).status_code == 201
        await held.until_events(2, timeout_s=2)


async def test_a_doorbell_that_was_cut_is_hung_up_again(start: Start, upstash: UpstashServer):
    """What was published meanwhile is read when it is back."""
    publishing = Client(await start(doorbell=True))
    reading = await start(doorbell=True, poll_min_ms=5000, poll_idle_ms=60_000)
    async with Client(reading).stream([A]) as held:
        await until_doorbell_is_connected(reading)
        upstash.faults(cut_subscribers=True)
        await publishing.publish(A, 1)
        await held.until_events(1, timeout_s=4)
        await until_doorbell_is_connected(reading)
        await publishing.publish(A, 2)
        await held.until_events(2, timeout_s=4)


async def until_doorbell_is_connected(instance: Instance) -> None:
    """Return when the instance hears the doorbell."""
    doorbell = instance.services.poller._doorbell
    assert doorbell is not None
    async with asyncio.timeout(5):
        while not doorbell.is_connected:
            await asyncio.sleep(0.005)


async def test_a_wake_up_that_is_lost_does_not_fail_the_publish(
    start: Start, upstash: UpstashServer
):
    """The event is stored; other processes find it by polling."""
    client = Client(await start(doorbell=True, redis_timeout_s=0.4))
    upstash.faults(quota=-1, only=["PUBLISH"])

    assert (await client.publish(A, 1, key="k")).status_code == 201


@pytest.mark.parametrize("fault", ["silent", "quota"])
async def test_a_publish_with_a_key_that_stays_without_an_answer_is_a_problem(
    fault: str, start: Start, redis: UpstashClient, upstash: UpstashServer
):
    """A repeat is safe, and the problem says so."""
    client = Client(await start(redis_timeout_s=1))
    upstash.faults(**{fault: -1}, only=["EVAL"])
    response = await client.publish(A, 1, key="k")
    upstash.clear_faults()

    code = "publish-uncertain" if fault == "silent" else "store-unavailable"
    assert (response.status_code, response.json()["code"]) == (503, code)
    assert (await client.publish(A, 1, key="k")).status_code == 201
    assert len(await stored(redis)) == 1


async def test_what_the_store_finds_too_large_is_said(start: Start, redis: UpstashClient):
    """Many events within our limits may together be above Upstash's."""
    client = Client(await start(max_event_bytes=1_000_000, max_body_bytes=10_000_000))
    quotes = '"' * 490_000  # each takes two bytes in an event, and four in the request to Redis
    events = [{"topic": A, "type": "tick", "data": quotes}] * 8
    response = await client.http.post("/api/events", json={"events": events})

    assert {one["status"] for one in response.json()["results"]} == {413}
    assert await stored(redis) == []
