"""Sending and listing: to one, to many, to all; what is read, deleted, and kept."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from api.events import CursorWriter, EventId, TopicName, log_key
from api.notifications.topics import BROADCAST
from tests.integration.notifications.conftest import URL, Inbox, Sender, name_of, titles
from tests.support.client import Client
from tests.support.instances import Instance, running, settings_for
from tests.support.upstash_server import UpstashServer


async def test_personal_ones_and_broadcasts_are_one_list(sender: Sender, alice: Inbox, bob: Inbox):
    """Newest first, whichever way they came; nobody sees those of another."""
    await sender.send("one", "alice")
    await sender.send("two")
    await sender.send("three", "alice", "bob")

    assert titles((await alice.page())["data"]) == ["three", "two", "one"]
    assert titles((await bob.page())["data"]) == ["three", "two"]
    assert (await alice.unread(), await bob.unread()) == (3, 2)


async def test_a_notification_is_listed_as_it_was_sent(sender: Sender, alice: Inbox):
    """The event of the stream, and whether it was read."""
    more: dict[str, Any] = {"level": "error", "body": "b", "link": "/jobs/1", "data": {"job": 1}}
    (name,) = await sender.send("t", "alice", **more)
    (found,) = (await alice.page())["data"]

    assert name_of(found) == name
    assert found["type"] == "notification"
    assert found["data"] == {"title": "t", **more}
    assert found["read"] is False


@pytest.mark.parametrize("limit", [1, 7, 20])
async def test_pages_are_stable_while_notifications_come(limit: int, sender: Sender, alice: Inbox):
    """On both topics; none twice and none left out."""
    expected: list[str] = []
    for number in range(20):
        await sender.send(str(number), *(["alice"] if number % 3 else []))
        expected.insert(0, str(number))
    page = await alice.page(limit=limit)
    found = titles(page["data"])
    while page["has_more"]:
        await sender.send("new", "alice")
        await sender.send("new")
        page = await alice.page(limit=limit, cursor=page["next_cursor"])
        found += titles(page["data"])

    assert found == expected


async def test_one_of_the_same_moment_is_not_lost_between_pages(instance: Instance, alice: Inbox):
    """Both topics may have the same id; the order of such two is fixed."""
    entry = '{"type":"notification","data":{"level":"info","title":"%s","body":""}}'
    base = int(instance.services.streaming.clock() * 1000) - 1000
    for ms in range(1, 6):
        for topic in ("user:alice:notifications", "public:notifications"):
            text, key = entry % f"{topic[0]}{ms}", log_key(TopicName(topic))
            await instance.services.redis.write("XADD", key, f"{base + ms}-0", "e", text)
    found = await alice.all(limit=1)

    assert titles(found) == [f"{side}{ms}" for ms in range(5, 0, -1) for side in "up"]


async def test_a_key_sends_once_to_all_or_to_none(
    sender: Sender, alice: Inbox, bob: Inbox, upstash: UpstashServer
):
    """Whatever is lost on the way; the same names come back."""
    upstash.faults(lose_replies=1, only=["EVAL"])
    first = await sender.send("t", "alice", "bob", key="k")
    again = await asyncio.gather(*(sender.send("t", "alice", "bob", key="k") for _ in range(10)))

    assert all(one == first for one in again)
    assert (len(await alice.all()), len(await bob.all())) == (1, 1)


async def test_what_is_too_large_or_not_stored_is_said(
    sender: Sender, alice: Inbox, bob: Inbox, upstash: UpstashServer
):
    """And reaches none of the recipients."""
    body = {"title": "t", "to": ["alice", "bob"]}
    large = await sender.http.post(URL, json={**body, "data": "x" * 70_000})
    upstash.faults(quota=-1)
    full = await sender.http.post(URL, json=body)
    keyed = await sender.http.post(URL, json=body, headers={"Idempotency-Key": "k"})
    upstash.clear_faults()

    codes = [(one.status_code, one.json()["code"]) for one in (large, full, keyed)]
    assert codes == [(413, "payload-too-large"), *[(503, "store-unavailable")] * 2]
    assert await alice.all() == await bob.all() == []


async def test_a_cursor_ahead_of_all_marks_nothing(sender: Sender, alice: Inbox):
    """It would mark what is still to come."""
    ahead = CursorWriter({BROADCAST: EventId(2**63, 0)}).text().decode()
    answer = await alice.http.post(f"{URL}/read", json={"up_to": ahead})
    await sender.send("t")

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-cursor")
    assert await alice.unread() == 1


async def test_a_key_is_for_one_notification(sender: Sender, alice: Inbox):
    """Other recipients are another notification."""
    await sender.send("t", "alice", key="k")
    body = {"title": "t", "to": ["bob"]}
    answer = await sender.http.post(URL, json=body, headers={"Idempotency-Key": "k"})

    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency-key-reused")


async def test_who_is_named_twice_is_notified_once(sender: Sender, alice: Inbox):
    """A list made of two lists is no reason for two."""
    assert len(await sender.send("t", "alice", "alice")) == 1
    assert len(await alice.all()) == 1


async def test_sending_needs_a_grant_on_every_target(alice: Inbox, bob: Inbox, sender: Sender):
    """Nobody notifies others, or all, or even oneself, by being signed in."""
    for to in (["bob"], ["alice"], "all", ["alice", "bob"]):
        answer = await alice.http.post(URL, json={"title": "t", "to": to})
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")

    assert await bob.all() == await alice.all() == []


async def test_reading_some_leaves_the_others(sender: Sender, alice: Inbox, bob: Inbox):
    """Personal or broadcast; what others have read is theirs."""
    names = [*await sender.send("one", "alice"), *await sender.send("two")]
    await sender.send("three")
    changed = await alice.read(ids=names)

    assert changed == {"changed": 2, "missing": []}
    assert [one["read"] for one in await alice.all()] == [False, True, True]
    assert titles(await alice.all(unread="true")) == ["three"]
    assert (await alice.unread(), await bob.unread()) == (1, 2)
    assert (await alice.read(ids=names))["changed"] == 0


async def test_reading_all_that_was_seen_leaves_what_came_since(sender: Sender, alice: Inbox):
    """`seen` of the list is what the client knows of."""
    await sender.send("one", "alice")
    await sender.send("two")
    seen = (await alice.page())["seen"]
    await sender.send("three")
    await sender.send("four", "alice")
    await alice.read(up_to=seen)

    assert titles(await alice.all(unread="true")) == ["four", "three"]
    assert await alice.unread() == 2


async def test_the_state_is_small_after_reading_all(
    sender: Sender, alice: Inbox, instance: Instance
):
    """One mark stands for any number of notifications read before."""
    names = [(await sender.send(str(n), *(["alice"] * (n % 2))))[0] for n in range(20)]
    await alice.read(ids=names)
    await alice.http.delete(f"{URL}/{names[3]}")
    await alice.read(up_to=(await alice.page())["seen"])
    state = await instance.services.redis.read("HGETALL", "millrace:notifications:alice")

    assert len(state) == 3
    assert len(await alice.all()) == 19


async def test_deleting_hides_it_from_that_user_alone(sender: Sender, alice: Inbox, bob: Inbox):
    """Once more is as good; a deleted one is not unread, and cannot be read any more."""
    (name,) = await sender.send("one")
    await sender.send("two")
    answers = [await alice.http.delete(f"{URL}/{name}") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [204, 204]
    assert titles(await alice.all()) == ["two"]
    assert titles(await bob.all()) == ["two", "one"]
    assert (await alice.unread(), await bob.unread()) == (1, 2)
    assert (await alice.read(ids=[name]))["missing"] == [name]


async def test_what_is_not_there_is_not_found(sender: Sender, alice: Inbox, bob: Inbox):
    """That of another, one that never was, and an entry that is no notification, alike."""
    (of_bob,) = await sender.send("secret", "bob")
    (own,) = await sender.send("own", "alice")
    await alice.read(ids=[own])
    async with bob.client.stream(["user:bob:notifications"], history=1) as stream:
        await stream.until_events(1)
    history = await alice.http.get("/api/events/user:alice:notifications/history")
    no_notification = next(
        name_of(one) for one in history.json()["events"] if one["type"] == "notifications.read"
    )
    unknown = "user:alice:notifications/1-1"
    names = [of_bob, unknown, no_notification, "public:other/1-1"]

    for name in names:
        for answer in (
            await alice.http.delete(f"{URL}/{name}"),
            await alice.http.post(f"{URL}/{name}/read"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
    assert sorted((await alice.read(ids=names))["missing"]) == sorted(names)
    assert await bob.unread() == 1


async def test_a_lost_reply_changes_nothing_twice(
    sender: Sender, alice: Inbox, upstash: UpstashServer
):
    """Marking is repeated inside, and other devices are told once."""
    (name,) = await sender.send("one", "alice")
    seen = (await alice.page())["seen"]
    for change in (alice.read(ids=[name]), alice.read(up_to=seen)):
        upstash.faults(lose_replies=1, only=["EVAL"])
        await change
    upstash.faults(lose_replies=1, only=["EVAL"])
    assert (await alice.http.delete(f"{URL}/{name}")).status_code == 204
    history = await alice.http.get("/api/events/user:alice:notifications/history")
    kinds = [one["type"] for one in reversed(history.json()["events"])]

    assert kinds == [
        *("notification", "notifications.read", "notifications.read", "notifications.deleted")
    ]


async def test_one_is_read_by_its_own_address(sender: Sender, alice: Inbox):
    """Once more is as good."""
    (name,) = await sender.send("one", "alice")
    answers = [await alice.http.post(f"{URL}/{name}/read") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [204, 204]
    assert await alice.unread() == 0


async def test_what_is_too_old_is_not_shown(sender: Sender, instance: Instance, alice: Inbox):
    """Neither listed nor counted, and nothing of it is remembered."""
    old = int((instance.services.streaming.clock() - 31 * 86_400) * 1000)
    entry = '{"type":"notification","data":{"level":"info","title":"old","body":""}}'
    key = log_key(TopicName("user:alice:notifications"))
    await instance.services.redis.write("XADD", key, f"{old}-0", "e", entry)
    state = "millrace:notifications:alice"
    await instance.services.redis.write("HSET", state, f"own:{old}-0", "deleted")
    (name,) = await sender.send("new", "alice")
    await alice.read(ids=[name, f"user:alice:notifications/{old}-0"])

    assert titles(await alice.all()) == ["new"]
    assert await alice.unread() == 0
    assert list(await instance.services.redis.read("HGETALL", state)) == [
        name.replace("user:alice:notifications/", "own:")
    ]


async def test_a_number_and_a_time_bound_what_is_kept(upstash: UpstashServer):
    """For each user and for all; both outlive other topics."""
    async with running(settings_for(upstash, notifications_max=10, topic_ttl_s=60)) as instance:
        log = instance.services.streaming.log
        names = [TopicName("user:alice:notifications"), TopicName("public:notifications")]
        entry = '{"type":"notification","data":{"level":"info","title":"t","body":""}}'
        for name in names:
            await log.append([(name, entry)] * 230)
        redis = instance.services.redis
        kept = [await redis.read("XLEN", log_key(name)) for name in names]
        ttls = [await redis.read("TTL", log_key(name)) for name in names]

    assert all(10 <= count < 130 for count in kept)
    assert all(30 * 86_400 < ttl_s <= 41 * 86_400 for ttl_s in ttls)


async def test_who_joins_later_sees_the_broadcasts_that_are_kept(
    sender: Sender, instance: Instance
):
    """There is no list of users: retention alone decides."""
    await sender.send("before you came")
    newcomer = Inbox(instance, "newcomer")

    assert titles(await newcomer.all(unread="true")) == ["before you came"]
    assert await newcomer.unread() == 1
    await newcomer.http.aclose()


async def test_the_general_way_to_publish_notifies_too(instance: Instance, alice: Inbox):
    """A declared event on the topic is a notification, and must be one."""
    admin = Client(instance)
    topic = "user:alice:notifications"
    good = await admin.publish(topic, {"title": "t"}, kind="notification")
    bad = await admin.publish(topic, {"title": "t", "link": "javascript:x"}, kind="notification")

    assert (good.status_code, bad.status_code) == (201, 422)
    assert titles(await alice.all()) == ["t"]
    await admin.http.aclose()
