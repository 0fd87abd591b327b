"""Reading a topic that was never used writes an entry; how many of them is up to no client."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from api.events.cursor import CursorWriter
from api.events.event import EventId
from api.events.topic import TopicName
from api.upstash import UpstashClient
from tests.integration.events.conftest import Start, put
from tests.support.client import Client
from tests.support.instances import Instance

MOST = 50


@pytest.fixture
async def limited(start: Start) -> Instance:
    return await start(new_topics_per_minute=MOST)


def names(prefix: str, count: int = 50) -> list[TopicName]:
    return [TopicName(f"public:{prefix}:{number}") for number in range(count)]


async def keys(redis: UpstashClient) -> int:
    return int(await redis.read("DBSIZE"))


def cursor_on(topics: Sequence[TopicName]) -> str:
    """A cursor that a client has made up."""
    return CursorWriter(dict.fromkeys(topics, EventId(1, 0))).text().decode()


async def test_polls_of_topics_that_were_never_used_write_no_more_than_the_caller_may(
    limited: Instance, redis: UpstashClient
):
    """Twenty polls of fifty topics each: one is answered, and the others say when to come back."""
    client = Client(limited)
    answers = [await client.poll(names(f"n{number}")) for number in range(20)]

    assert [answer.status_code for answer in answers] == [200] + [429] * 19
    assert answers[1].json()["code"] == "rate-limited"
    assert answers[1].headers["content-type"].startswith("application/problem+json")
    assert 1 <= int(answers[1].headers["retry-after"]) <= 60
    assert await keys(redis) == MOST


async def test_a_made_up_cursor_on_topics_that_were_never_used_is_charged_too(
    limited: Instance, redis: UpstashClient
):
    """To go on after a gap writes entries as a first read does."""
    client = Client(limited)
    statuses = []
    for number in range(3):
        topics = names(f"n{number}")
        statuses.append((await client.poll(topics, cursor_on(topics))).status_code)

    assert statuses == [200, 429, 429]
    assert await keys(redis) == MOST


@pytest.mark.parametrize("resumes", [False, True])
async def test_a_stream_over_the_limit_writes_nothing_and_says_when_to_come_back(
    resumes: bool, limited: Instance, redis: UpstashClient
):
    """Its head is already sent, and a status would close an EventSource for good."""
    client = Client(limited)
    await client.poll(names("used"))
    used = await keys(redis)
    topics = names("new")
    stream = client.stream(topics, cursor_on(topics) if resumes else "")
    await stream.until_end()

    assert stream.bye["reason"] == "rotate"
    assert stream.bye["retry_ms"] == stream.retry_ms
    assert stream.bye["retry_ms"] > 50_000  # fifty topics are a minute's worth
    assert await keys(redis) == used


async def test_topics_that_are_in_use_cost_nothing_of_the_limit(
    limited: Instance, redis: UpstashClient
):
    """A caller at its limit still reads them; another caller has its own limit."""
    await put(limited.services.streaming.log, "public:used", 1)
    client = Client(limited)
    await client.poll(names("new"))
    other = Client(limited, limited.token("another"))

    assert (await client.poll(["public:used"])).status_code == 200
    assert (await client.poll(names("new"))).status_code == 200
    assert (await client.poll(["public:never"])).status_code == 429
    assert (await other.poll(["public:never"])).status_code == 200


async def test_a_caller_over_the_limit_does_not_hold_up_those_who_ask_at_the_same_time(
    limited: Instance,
):
    """They share the round trip, and each is charged for its own topics."""
    greedy = Client(limited)
    await greedy.poll(names("used"))
    others = [Client(limited, limited.token(f"user-{number}")) for number in range(3)]
    polls = [greedy.poll(names("more")), *(one.poll(names("new")) for one in others)]
    statuses = [answer.status_code for answer in await asyncio.gather(*polls)]

    assert statuses == [429, 200, 200, 200]


async def test_the_past_of_topics_that_were_never_used_writes_nothing(
    instance: Instance, redis: UpstashClient
):
    """Neither the history of a topic nor a page of a feed."""
    http = Client(instance).http
    for path in ("/api/events/public:never/history", "/api/activity/workspace:never"):
        assert (await http.get(path)).status_code == 200

    assert await keys(redis) == 0


async def test_the_stream_of_a_feed_that_was_never_used_is_charged(
    limited: Instance, redis: UpstashClient
):
    """The client chooses its name."""
    client = Client(limited)
    await client.poll(names("used"))
    stream = client.stream_at("/api/activity/workspace:never/stream")
    await stream.until_end()

    assert stream.bye["reason"] == "rotate"
