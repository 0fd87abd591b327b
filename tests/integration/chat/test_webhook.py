"""What Ably delivers comes to our topics: once, and only if it comes from Ably."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import httpx
import pytest

from api.chat.webhook.inbound import MAX_ITEMS
from api.chat.webhook.receiver import MAX_AGE_S
from tests.support.chat import (
    KEY,
    SECRET,
    Person,
    batch,
    chat_settings,
    client_of,
    item,
    message,
    signed,
)
from tests.support.instances import Instance, running
from tests.support.upstash_server import UpstashServer

JSON = {"Content-Type": "application/json"}


async def deliver(instance: Instance, options: dict[str, Any]) -> httpx.Response:
    return await client_of(instance).post("/api/chat/webhook", **options)


def counts(answer: httpx.Response) -> tuple[int, int, int]:
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return body["stored"], body["repeated"], body["ignored"]


@pytest.fixture
async def room(alice: Person, bob: Person) -> Person:
    """Alice, who moderates room a, in which bob is a member."""
    await alice.creates("a", is_public=True)
    await bob.joins("a")
    return alice


async def test_a_message_becomes_an_event_of_the_rooms_topic(
    instance: Instance, room: Person
) -> None:
    """With its author, its time by Ably's clock, and its data decoded."""
    sent = message("c:0", '{"text":"hi"}', encoding="json", extras={"headers": {"a": "b"}})

    answer = await deliver(instance, batch(item(sent)))

    (event,) = await room.events("room:a")
    assert counts(answer) == (1, 0, 0)
    assert event["type"] == "chat.message"
    assert event["data"] == {
        "id": "c:0",
        "name": "m",
        "data": {"text": "hi"},
        "encoding": "",
        "client_id": "bob",
        "timestamp": sent["timestamp"],
        "serial": None,
        "extras": {"headers": {"a": "b"}},
        "is_omitted": False,
    }


async def test_three_deliveries_out_of_order_store_each_message_once(
    instance: Instance, room: Person
) -> None:
    """Whether it comes alone, with others, or at the same time."""
    one, two, three = (item(message(f"c:{n}")) for n in range(3))

    answers = await asyncio.gather(
        deliver(instance, batch(two, three)),
        deliver(instance, batch(three, one)),
        deliver(instance, batch(one, two, three, three)),
    )

    events = await room.events("room:a")
    assert sorted(event["data"]["id"] for event in events) == ["c:0", "c:1", "c:2"]
    assert sum(counts(answer)[0] for answer in answers) == 3
    assert sum(counts(answer)[1] for answer in answers) == 5


async def test_a_batch_costs_one_round_trip(
    instance: Instance, room: Person, upstash: UpstashServer
) -> None:
    """Three commands a message, which also shows in a feed; one a topic; and the script."""
    upstash.reset_meter()

    await deliver(instance, batch(*(item(message(f"c:{n}")) for n in range(50))))

    assert upstash.meter().commands == {"EVAL": 1, "SET": 50, "XADD": 100, "EXPIRE": 2}


async def test_a_large_batch_is_stored_in_parts(instance: Instance, room: Person) -> None:
    """None of them larger than the store takes at once."""
    items = [item(message(f"c:{n}", "x" * 6000)) for n in range(150)]

    answer = await deliver(instance, batch(*items))

    assert counts(answer) == (150, 0, 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"X-Ably-Signature": "AAAA"},
        {"X-Ably-Signature": ""},
        {"X-Ably-Signature": "é"},
        {"X-Webhook-Secret": SECRET, "X-Ably-Signature": "AAAA"},
    ],
    ids=["wrong", "empty", "not ASCII", "a secret that is not set"],
)
async def test_a_wrong_signature_stores_nothing(
    instance: Instance, room: Person, changes: dict[str, str]
) -> None:
    """And is not even read."""
    options = batch(item(message("c:0")))
    options["headers"] = {k: v.encode() for k, v in (options["headers"] | changes).items()}

    answer = await deliver(instance, options)

    assert (answer.status_code, answer.json()["code"]) == (401, "webhook-unverified")
    assert await room.events("room:a") == []


@pytest.mark.parametrize("headers", [JSON, {**JSON, "X-Ably-Key": "app.key"}])
async def test_what_is_not_signed_stores_nothing(
    instance: Instance, room: Person, headers: dict[str, str]
) -> None:
    """Naming the key proves nothing."""
    body = json.dumps({"items": [item(message("c:0"))]}).encode()

    answer = await deliver(instance, {"content": body, "headers": headers})

    assert answer.status_code == 401
    assert await room.events("room:a") == []


async def test_a_body_that_was_changed_is_refused(instance: Instance, room: Person) -> None:
    """The signature is over every byte."""
    options = batch(item(message("c:0")))
    options["content"] = options["content"].replace(b"hi", b"ho")

    assert (await deliver(instance, options)).status_code == 401
    assert await room.events("room:a") == []


async def test_a_signature_of_another_key_says_so(instance: Instance) -> None:
    """A rule that was set up with another key is found at once."""
    answer = await deliver(instance, batch(item(message("c:0")), key="app.other:secret"))

    assert answer.status_code == 401
    assert "another key" in answer.json()["detail"]


async def test_a_recording_is_of_no_use_later(instance: Instance, room: Person) -> None:
    """What is older than any mark of ours is not stored again."""
    old = int((time.time() - MAX_AGE_S - 10) * 1000)

    answer = await deliver(instance, batch(item(message("c:0", timestamp=old))))

    assert counts(answer) == (0, 0, 1)
    assert await room.events("room:a") == []


async def test_a_rule_of_single_deliveries_carries_a_secret(upstash: UpstashServer) -> None:
    """Ably does not sign those."""
    body = {
        "source": "channel.message",
        "channel": "room:a",
        "timestamp": int(time.time() * 1000),
        "messages": [message("c:0")],
    }
    async with running(chat_settings(upstash, chat_webhook_secret=SECRET)) as instance:
        alice = Person(instance, "alice")
        await alice.creates("a")
        wrong = await deliver(
            instance, {"json": body, "headers": {"X-Webhook-Secret": f"{SECRET}x"}}
        )
        right = await deliver(instance, {"json": body, "headers": {"X-Webhook-Secret": SECRET}})
        events = await alice.events("room:a")

    assert (wrong.status_code, counts(right), len(events)) == (401, (1, 0, 0), 1)


async def test_deep_nesting_is_refused(instance: Instance, room: Person) -> None:
    """A megabyte of it, signed or not; and deep data within a text stays a text."""
    deep = b"[" * 1_000_000
    text = "[" * 30_000 + "]" * 30_000

    assert (await deliver(instance, signed(deep))).status_code == 400
    assert (await deliver(instance, {"content": deep, "headers": JSON})).status_code == 401
    kept = await deliver(instance, batch(item(message("c:0", text, encoding="json"))))

    (event,) = await room.events("room:a")
    assert counts(kept) == (1, 0, 0)
    assert (event["data"]["data"], event["data"]["encoding"]) == (text, "json")


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"null", b"[]", b"{}", b'{"items":1}', b'"x"', b"{" * 100]
)
async def test_signed_garbage_is_refused_as_what_it_is(instance: Instance, body: bytes) -> None:
    """Never by a 500, after which Ably would send it for minutes."""
    assert (await deliver(instance, signed(body))).status_code in {400, 422}


async def test_msgpack_is_refused(instance: Instance, room: Person) -> None:
    """Its rule is to be set to JSON; the answer says so."""
    options = batch(item(message("c:0")))
    options["headers"]["Content-Type"] = "application/x-msgpack"

    answer = await deliver(instance, options)

    assert answer.status_code == 415
    assert "JSON" in answer.json()["detail"]


async def test_foreign_channels_are_ignored(instance: Instance, upstash: UpstashServer) -> None:
    """With 200, or Ably would deliver them again; and without a command."""
    others = ("orders", "room:a:b", "rooms:a", "[meta]room:a", "room:*", "room:")
    upstash.reset_meter()

    answer = await deliver(
        instance, batch(*(item(message(f"c:{n}"), channel=name) for n, name in enumerate(others)))
    )

    assert counts(answer) == (0, 0, len(others))
    assert upstash.meter().billed == 0


async def test_lifecycle_and_signals_of_the_moment_are_ignored(instance: Instance) -> None:
    """Occupancy, typing, and what else is gone when it is read."""
    status = {"channelId": "room:a", "status": {"isActive": True}}
    lifecycle = item(source="channel.lifecycle", name="channel.opened", data=status)
    typing = item(message("c:0", name="typing.started", extras={"ephemeral": True}))

    assert counts(await deliver(instance, batch(lifecycle, typing))) == (0, 0, 2)


async def test_presence_is_an_event_of_its_own(instance: Instance, room: Person) -> None:
    """So a page without Ably's SDK can show who is there."""
    now = int(time.time() * 1000)
    change = {"id": "c:1", "action": 2, "clientId": "bob", "data": "away", "timestamp": now}
    data = {"channelId": "room:a", "site": "test", "presence": [change]}

    await deliver(instance, batch(item(source="channel.presence", data=data)))

    (event,) = await room.events("room:a")
    assert event["type"] == "chat.presence"
    assert (event["data"]["action"], event["data"]["client_id"]) == ("enter", "bob")


async def test_a_message_shows_in_the_feed_of_its_workspace(
    instance: Instance, room: Person, admin: Person
) -> None:
    """Once, with its author and without its text."""
    for _ in range(2):
        await deliver(instance, batch(item(message("c:0", "psst"))))

    (event,) = await admin.events("workspace:a:activity")
    assert event["data"]["actor"] == "bob"
    assert event["data"]["object"]["id"] == "c:0"
    assert "psst" not in json.dumps(event)


async def test_who_is_mentioned_is_notified_once(
    instance: Instance, room: Person, bob: Person, carol: Person, upstash: UpstashServer
) -> None:
    """Members alone, and not the author; for all rooms of a batch in one round trip more."""
    said = item(message("c:0", "hi @alice, @carol and @bob. @nobody"))
    upstash.reset_meter()

    for _ in range(2):
        await deliver(instance, batch(said))

    (event,) = await room.events("user:alice:notifications")
    assert event["data"]["title"] == "bob mentioned you in a"
    assert event["data"]["data"] == {"room": "a", "message": "c:0"}
    assert upstash.meter().commands["ZMSCORE"] == 2
    for other in (bob, carol):
        assert await other.events(f"user:{other.name}:notifications") == []


async def test_edits_and_deletions_are_events_of_their_own(
    instance: Instance, room: Person
) -> None:
    """Each version once."""
    sent = message("c:0", serial="s1")
    edits = [
        {**sent, "action": 1, "data": "ho", "version": {"serial": f"s1@{n}"}} for n in (1, 2, 2)
    ]
    gone = {**sent, "action": 2, "version": {"serial": "s1@3"}}

    await deliver(instance, batch(item(sent), *map(item, edits), item(gone)))

    kinds = [event["type"] for event in await room.events("room:a")]
    assert kinds == [
        *("chat.message", "chat.message.updated", "chat.message.updated"),
        "chat.message.deleted",
    ]


async def test_a_message_too_large_for_an_event_leaves_its_mark(
    instance: Instance, room: Person
) -> None:
    """The reader learns that there is one, and finds it in the history."""
    answer = await deliver(instance, batch(item(message("c:0", "x" * 65_400))))

    (event,) = await room.events("room:a")
    assert counts(answer) == (1, 0, 0)
    assert event["data"]["is_omitted"]
    assert event["data"]["data"] is None


async def test_a_delivery_of_too_many_items_is_refused(instance: Instance) -> None:
    """Ably's own bound is far below."""
    answer = await deliver(
        instance, signed(b'{"items":[%s]}' % b",".join([b"{}"] * (MAX_ITEMS + 1)))
    )

    assert answer.status_code == 413


async def test_a_body_above_the_limit_is_refused(instance: Instance) -> None:
    """Before it is read to its end."""
    assert (await deliver(instance, signed(b" " * 1_200_000))).status_code == 413


async def test_while_the_store_is_away_ably_is_asked_to_come_again(
    instance: Instance, room: Person, upstash: UpstashServer
) -> None:
    """And then nothing is missing, and nothing there twice."""
    first, second = batch(item(message("c:0"))), batch(item(message("c:1")))
    upstash.faults(quota=-1)
    refused = await deliver(instance, first)
    upstash.clear_faults()
    upstash.faults(lose_replies=-1, only=["EVAL"])
    lost = await deliver(instance, second)
    upstash.clear_faults()

    again = [counts(await deliver(instance, one)) for one in (second, first)]

    assert (refused.status_code, lost.status_code) == (503, 503)
    assert again == [(0, 1, 0), (1, 0, 0)]
    assert len(await room.events("room:a")) == 2


async def test_without_a_key_nothing_is_genuine(upstash: UpstashServer) -> None:
    """So nothing is taken."""
    async with running(chat_settings(upstash, ABLY_API_KEY=None)) as instance:
        answer = await deliver(instance, batch(item(message("c:0")), key=KEY))

    assert answer.status_code == 401
