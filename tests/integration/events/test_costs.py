"""How many commands each act costs, by the server's own meter."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from api.events.live.hub import Hub
from api.events.publisher import Draft, Published
from api.events.stream.deadline import window
from api.events.topic import TopicName, log_key
from api.services import Services, build_services
from api.system import System
from tests.integration.events.conftest import Start, put
from tests.support.client import Client
from tests.support.instances import Instance, settings_for
from tests.support.upstash_server import UpstashServer
from tests.unit.security.support import FakeClock

A = TopicName("public:a")

Bill = Callable[[], dict[str, int]]


@pytest.fixture
def bill(upstash: UpstashServer) -> Bill:
    """The commands that were billed since the last call."""

    def bill() -> dict[str, int]:
        commands = upstash.meter().commands
        upstash.reset_meter()
        return commands

    return bill


@pytest.fixture
async def still(start: Start) -> Instance:
    """An instance that reads the log only when the test says so."""
    instance = await start()
    instance.poll_by_hand()
    return instance


def names(count: int) -> list[TopicName]:
    return [TopicName(f"public:{number}") for number in range(count)]


async def use(instance: Instance, topics: list[TopicName]) -> None:
    """Give each topic an event."""
    for topic in topics:
        await put(instance.services.streaming.log, topic, 1)


# Publishing


@pytest.fixture
def services(upstash: UpstashServer, clock: FakeClock) -> Callable[..., Services]:
    def build(**changes: object) -> Services:
        return build_services(
            settings_for(upstash, **changes), system=replace(System.real(), monotonic=clock)
        )

    return build


async def publish(services: Services, *drafts: Draft) -> None:
    outcomes = await services.publisher.publish_many(drafts, owner="me")
    assert all(isinstance(one, Published) for one in outcomes)


async def close(services: Services) -> None:
    for client in services.clients:
        await client.close()


async def test_a_publish_is_one_command_and_two_when_the_ttl_is_due(
    services: Callable[..., Services], clock: FakeClock, bill: Bill
):
    """On a topic with events all day, five publishes a day cost the second one."""
    parts = services(topic_ttl_s=1000)
    await publish(parts, Draft(A, "tick", 1))
    first = bill()
    clock.advance(250)
    await publish(parts, Draft(A, "tick", 2))
    second = bill()
    clock.advance(1)
    await publish(parts, Draft(A, "tick", 3))

    assert (first, second, bill()) == (
        {"XADD": 1, "EXPIRE": 1},
        {"XADD": 1},
        {"XADD": 1, "EXPIRE": 1},
    )
    await close(parts)


async def test_a_doorbell_is_one_command_more(services: Callable[..., Services], bill: Bill):
    """In a batch it is one for each topic, not for each event."""
    parts = services(doorbell=True)
    await publish(parts, Draft(A, "tick", 1))
    bill()
    await publish(parts, Draft(A, "tick", 2))
    one = bill()
    await publish(parts, *(Draft(A, "tick", n) for n in range(5)))

    assert one == {"XADD": 1, "PUBLISH": 1}
    assert bill() == {"XADD": 5, "PUBLISH": 1}
    await close(parts)


async def test_a_publish_with_a_key_is_five_commands_and_a_repeat_two(
    services: Callable[..., Services], bill: Bill
):
    """The script, and the commands that it calls."""
    parts = services()
    await publish(parts, Draft(A, "tick", 1, "key"))
    first = bill()
    await publish(parts, Draft(A, "tick", 1, "key"))

    assert first == {"EVAL": 1, "GET": 1, "XADD": 1, "EXPIRE": 1, "SET": 1}
    assert bill() == {"EVAL": 1, "GET": 1}
    await close(parts)


async def test_a_batch_is_a_command_for_each_event(services: Callable[..., Services], bill: Bill):
    """They take one round trip, with one TTL refresh for each topic."""
    parts = services()
    await publish(parts, *(Draft(topic, "tick", n) for topic in names(2) for n in range(5)))

    assert bill() == {"XADD": 10, "EXPIRE": 2}
    await close(parts)


# Connecting


async def test_a_first_connect_is_one_command_for_all_topics(still: Instance, bill: Bill):
    """All of the topics have been used before."""
    topics = names(50)
    await use(still, topics)
    bill()
    async with Client(still).stream(topics):
        assert bill() == {"XREAD": 1}


async def test_topics_that_were_never_used_cost_two_more_each(still: Instance, bill: Bill):
    """Only once: the genesis entry and its TTL."""
    topics = names(10)
    await use(still, topics[:4])
    bill()
    async with Client(still).stream(topics):
        assert bill() == {"XREAD": 1, "XADD": 6, "EXPIRE": 6}
    async with Client(still).stream(topics):
        assert bill() == {"XREAD": 1}


async def test_a_connect_to_watched_topics_is_free(still: Instance, bill: Bill):
    """The process knows their positions."""
    topics = names(5)
    await use(still, topics)
    client = Client(still)
    async with client.stream(topics):
        bill()
        async with client.stream(topics), client.stream(topics[1:3]):
            assert bill() == {}


async def test_a_resume_at_the_tip_of_watched_topics_is_free(still: Instance, bill: Bill):
    """This is what happens after each rotation."""
    topics = names(5)
    await use(still, topics)
    client = Client(still)
    async with client.stream(topics) as held:
        bill()
        async with client.stream(topics, held.cursor):
            assert bill() == {}


async def test_a_resume_a_little_behind_watched_topics_is_free(still: Instance, bill: Bill):
    """Memory holds the newest events."""
    client = Client(still)
    async with client.stream([A]) as held:
        cursor = held.cursor
        await put(still.services.streaming.log, A, *range(5))
        await still.services.poller.run_once()
        await held.until_events(5)
        bill()
        async with client.stream([A], cursor) as resumed:
            assert [event["data"] for event in await resumed.until_events(5)] == list(range(5))
            assert bill() == {}


async def test_a_resume_on_unwatched_topics_is_one_command(still: Instance, bill: Bill):
    """It reads the missed events as well."""
    topics = names(5)
    await use(still, topics)
    async with Client(still).stream(topics) as held:
        cursor = held.cursor
    await use(still, topics[:2])
    bill()
    async with Client(still).stream(topics, cursor) as resumed:
        await resumed.until_events(2)
        assert bill() == {"XREAD": 1}


async def test_a_thousand_who_come_at_once_share_the_commands(still: Instance, bill: Bill):
    """All clients come back after a deploy; Redis must not notice."""
    topics = names(20)
    await use(still, topics)
    bill()
    client = Client(still)
    streams = [client.stream([topics[n % 20]]) for n in range(1000)]
    for stream in streams:
        await stream.until_connected()

    assert bill() == {"XREAD": 2}
    for stream in streams:
        await stream.close()


# Following


@pytest.mark.parametrize(("count", "commands"), [(3, 1), (500, 1), (501, 2)])
async def test_a_poll_is_one_command_for_up_to_500_topics(
    count: int, commands: int, still: Instance, bill: Bill
):
    """However many readers they have."""
    hub: Hub = still.services.streaming.hub
    topics = names(count)
    await use(still, topics[:1])
    client = Client(still)
    async with client.stream(topics[:1]), client.stream(topics[:1]), client.stream(topics[:2]):
        hub.watch(topics)
        await hub.locate(topics)
        bill()
        await still.services.poller.run_once()
        assert bill() == {"XREAD": commands}
        hub.unwatch(topics)


async def test_news_on_a_silent_topic_take_one_more_command(still: Instance, bill: Bill):
    """It proves that nothing is gone; while more events come it is not needed."""
    log = still.services.streaming.log
    async with Client(still).stream([A]) as held:
        await put(log, A, 1)
        bill()
        await still.services.poller.run_once()
        first = bill()
        await held.until_events(1)
        await put(log, A, 2)
        bill()
        await still.services.poller.run_once()
        assert (first, bill()) == ({"XREAD": 2}, {"XREAD": 1})
        await held.until_events(2)


async def test_keep_alives_cost_nothing(start: Start, bill: Bill):
    """They are comments of ours and need no Redis."""
    instance = await start(keep_alive_s=1)
    instance.poll_by_hand()
    async with Client(instance).stream([A]) as held:
        bill()
        await held.until(lambda one: one.comments >= 3)
        assert bill() == {}


async def test_nobody_there_is_nothing_read(instance: Instance, bill: Bill):
    """A process without readers does not poll."""
    async with Client(instance).stream([A]) as held:
        await put(instance.services.streaming.log, A, 1)
        await held.until_events(1)
    polls = instance.services.metrics.polls._value.get()
    await instance.services.poller.close()
    bill()
    await put(instance.services.streaming.log, A, 2)

    assert bill() == {"XADD": 1}
    assert instance.services.metrics.polls._value.get() == polls


# Polling by clients


async def test_a_json_poll_of_watched_topics_is_free(still: Instance, bill: Bill):
    """Without a cursor, with the newest one, and with one a little behind."""
    client = Client(still)
    async with client.stream([A]) as held:
        bill()
        cursor = (await client.poll([A])).json()["cursor"]
        await client.poll([A], cursor)
        at_tip = bill()
        await put(still.services.streaming.log, A, 1)
        await still.services.poller.run_once()
        await held.until_events(1)
        bill()
        answer = await client.poll([A], cursor)
        assert [event["data"] for event in answer.json()["events"]] == [1]
        assert (at_tip, bill()) == ({}, {})


async def test_a_json_poll_of_unwatched_topics_is_one_command(still: Instance, bill: Bill):
    """With and without a cursor, whatever it finds."""
    topics = names(5)
    await use(still, topics)
    client = Client(still)
    bill()
    cursor = (await client.poll(topics)).json()["cursor"]
    first = bill()
    await client.poll(topics, cursor)
    second = bill()
    await use(still, topics[:1])
    bill()
    await client.poll(topics, cursor)

    assert (first, second, bill()) == ({"XREAD": 1}, {"XREAD": 1}, {"XREAD": 1})


async def test_history_is_one_command_a_topic(still: Instance, bill: Bill):
    """No further command is needed to find the topics' positions."""
    topics = names(3)
    await use(still, topics)
    bill()
    async with Client(still).stream(topics, history=5) as held:
        await held.until_events(3)
        assert bill() == {"XREVRANGE": 3}


async def test_a_window_with_a_backlog_is_one_command(start: Start, bill: Bill):
    """A buffered answer takes no lease and starts no poller."""
    instance = await start(window(5))
    await use(instance, [A])
    client = Client(instance)
    cursor = (await client.poll([A])).json()["cursor"]
    await put(instance.services.streaming.log, A, "x")
    bill()
    stream = await client.stream([A], cursor).until_end()

    assert [json.loads(json.dumps(event["data"])) for event in stream.events] == ["x"]
    assert bill()["XREAD"] <= 2


def test_a_topic_is_one_key():
    """So a bill by keys can be foreseen."""
    assert log_key(A) == "millrace:topic:public:a"
