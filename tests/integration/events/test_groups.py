"""Several events of one cause are stored together, and once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from api.events.event import EventId
from api.events.log.idempotency import GROUPS_AT_ONCE, Group
from api.events.log.retention import Retention, Retentions
from api.events.log.topic_log import TopicLog
from api.events.publisher import Draft
from api.events.topic import TopicName, log_key
from api.problems import StoreUnavailable
from api.security.patterns import TopicPattern
from api.telemetry.meter import CommandMeter
from api.upstash import UpstashClient
from tests.integration.events.conftest import KEEP, Start
from tests.support.client import Client
from tests.support.instances import Instance
from tests.support.upstash_server import UpstashServer

A, B = TopicName("public:a"), TopicName("public:b")
TTL_S = 60


def group(key: str, *topics: TopicName) -> Group:
    return Group(key, [(topic, f'{{"type":"tick","data":"{key}"}}') for topic in topics])


async def stored(log: TopicLog, *topics: TopicName) -> list[list[Any]]:
    pages = await log.newest(topics, limit=1000)
    return [[one.data for one in pages[t].events] if t in pages else [] for t in topics]


async def test_each_group_is_stored_once_as_a_whole(log: TopicLog) -> None:
    """A repeat stores none of its events, whatever other groups come with it."""
    first = await log.append_groups([group("1", A, B), group("2", A)], mark_ttl_s=TTL_S)
    again = await log.append_groups([group("2", A), group("3", B)], mark_ttl_s=TTL_S)

    assert (first, again) == ([True, True], [False, True])
    assert await stored(log, A, B) == [[b'"1"', b'"2"'], [b'"1"', b'"3"']]


async def test_the_same_group_twice_in_one_call_is_one(log: TopicLog) -> None:
    """The second meets the first one's mark."""
    assert await log.append_groups([group("1", A)] * 2, mark_ttl_s=TTL_S) == [True, False]
    assert await stored(log, A) == [[b'"1"']]


async def test_of_several_at_the_same_time_one_stores(log: TopicLog) -> None:
    """The check and the change are one step in Redis."""
    found = await asyncio.gather(
        *(log.append_groups([group("1", A)], mark_ttl_s=TTL_S) for _ in range(5))
    )

    assert sorted(one for (one,) in found) == [False] * 4 + [True]


async def test_a_group_without_events_leaves_its_mark(log: TopicLog) -> None:
    """A cause that led to no event leads to none when it is tried again."""
    assert await log.append_groups([group("1")], mark_ttl_s=TTL_S) == [True]
    assert await log.append_groups([group("1", A)], mark_ttl_s=TTL_S) == [False]


async def test_many_groups_are_stored_in_parts_and_in_order(log: TopicLog) -> None:
    """A part is limited by the number of groups and by their size."""
    many = [group(str(number), A) for number in range(GROUPS_AT_ONCE + 5)]
    large = [Group(f"x{n}", [(B, f'{{"type":"tick","data":"{"x" * 60_000}"}}')]) for n in range(9)]

    assert all(await log.append_groups([*many, *large], mark_ttl_s=TTL_S))
    found, _ = await stored(log, A, B)
    assert found == [b'"%d"' % number for number in range(len(many))]


async def test_each_topic_keeps_what_it_keeps_elsewhere(redis: UpstashClient) -> None:
    """What a feature says of its topics holds for groups as well."""
    feed = TopicName("user:alice:activity")
    longer = Retention(max_events=100, ttl_s=1_000_000, idempotency_ttl_s=3600)
    log = TopicLog(redis, Retentions(KEEP, {TopicPattern.parse(feed): longer}), lambda: 0.0)

    await log.append_groups([group("1", A, feed)], mark_ttl_s=TTL_S)

    lives = [await redis.read("TTL", log_key(topic)) for topic in (A, feed)]
    assert lives == [pytest.approx(KEEP.ttl_s, abs=5), pytest.approx(1_000_000, abs=5)]
    assert 0 < await redis.read("TTL", "millrace:once:1") <= TTL_S


async def test_it_is_billed_as_upstash_bills(
    log: TopicLog, meter: CommandMeter, upstash: UpstashServer
) -> None:
    """For groups that are stored and for those that were stored before."""
    for _ in range(2):
        await log.append_groups([group("1", A, B), group("2", A)], mark_ttl_s=TTL_S)

    assert dict(meter.commands) == upstash.meter().commands


async def test_readers_hear_of_it_at_once(instance: Instance, client: Client) -> None:
    """On each topic; a draft that is refused is left out without the others."""
    good, bad = Draft(A, "tick", 1), Draft(B, "bye", 2)
    async with client.stream([A, B]) as stream:
        new = await instance.services.publisher.publish_groups(
            {"k": [good, bad, Draft(B, "tick", 3)]}, owner="test", mark_ttl_s=TTL_S
        )
        events = await stream.until_events(2)

    assert new == [True]
    assert [(event["topic"], event["data"]) for event in events] == [(A, 1), (B, 3)]


async def test_while_the_store_is_away_the_caller_is_told(
    start: Start, upstash: UpstashServer
) -> None:
    """The caller may send the same groups again."""
    publisher = (await start()).services.publisher
    groups = {"k": [Draft(A, "tick", 1)]}
    upstash.faults(quota=-1)
    with pytest.raises(StoreUnavailable):
        await publisher.publish_groups(groups, owner="test", mark_ttl_s=TTL_S)
    upstash.clear_faults()

    assert await publisher.publish_groups(groups, owner="test", mark_ttl_s=TTL_S) == [True]
    assert EventId(0, 0) not in (await publisher.log.heads([A])).values()
