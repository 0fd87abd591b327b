"""What goes through Ably's REST API, by its own SDK, and what happens when that fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from api.chat.ably.key import AblyKey
from api.chat.ably.rest import AblyRest
from api.chat.problems import AblyUnavailable
from api.problems import PublishUncertain
from tests.support.ably_server import AblyServer
from tests.support.chat import KEY, Person, chat_settings
from tests.support.instances import Instance, running
from tests.support.tcp_server import TcpServer
from tests.support.upstash_server import UpstashServer


def with_ably(upstash: UpstashServer, ably: AblyServer, **changes: Any) -> Any:
    return chat_settings(upstash, ABLY_API_KEY=SecretStr(ably.key), ably_url=ably.url, **changes)


@pytest.fixture
async def instance(upstash: UpstashServer, ably: AblyServer) -> AsyncIterator[Instance]:
    settings = with_ably(upstash, ably, chat_blocked_words=("spam",), chat_messages_burst=1000)
    async with running(settings) as one:
        yield one


@pytest.fixture
async def room(alice: Person, bob: Person) -> Person:
    """Bob, a member of room a."""
    await alice.creates("a", is_public=True)
    await bob.joins("a")
    return bob


async def send(person: Person, data: Any, room: str = "a", key: str = "") -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    return await person.call(
        "POST", f"/rooms/{room}/messages", json={"data": data}, headers=headers
    )


def anonymous(ably: AblyServer) -> httpx.Client:
    # No TLS here: loading the authorities would be most of the work.
    return httpx.Client(base_url=ably.url, verify=False)


async def past(person: Person, **query: Any) -> Any:
    answer = await person.call("GET", "/rooms/a/messages", params=query)
    return answer.raise_for_status().json()


@pytest.mark.parametrize("data", ["hi", {"text": "hi", "n": [1]}, [1, 2], 7, None, "grüße 👋"])
async def test_what_is_sent_is_found_in_the_history(room: Person, data: Any) -> None:
    """With the sender's own name, whatever the data is."""
    sent = await send(room, data)

    (found,) = (await past(room))["messages"]
    assert sent.status_code == 201
    assert (found["id"], found["client_id"], found["data"]) == (sent.json()["id"], "bob", data)


async def test_with_a_key_a_message_is_sent_once(room: Person, alice: Person) -> None:
    """However often; keys of two users, or of two rooms, are two keys."""
    first, again = await send(room, "hi", key="k"), await send(room, "hi", key="k")
    other = await send(alice, "hi", key="k")

    assert first.json() == again.json() != other.json()
    assert len((await past(room))["messages"]) == 2


async def test_the_id_that_a_key_makes_cannot_be_foretold(
    upstash: UpstashServer, ably: AblyServer
) -> None:
    """Members who publish directly choose ids, and Ably drops the second message of an id."""
    ids = []
    for digit in "78":
        secret = SecretStr(f"{digit}d1c0f8e6b4f1c9a7be2d84c6f9b3e5a")
        async with running(with_ably(upstash, ably, secret=secret)) as instance:
            alice = Person(instance, "alice")
            await alice.creates("a")
            sent = [await send(alice, "hi", key="k") for _ in range(2)]
            assert sent[0].json() == sent[1].json()
            ids.append(sent[0].json()["id"])

    assert ids[0] != ids[1]


async def test_history_comes_in_pages_newest_first(room: Person) -> None:
    """Our cursor leads from one to the next, to the end, and through no other room."""
    sent = [(await send(room, n)).json()["id"] for n in range(5)]

    first = await past(room, limit=2)
    second = await past(room, limit=2, before=first["before"])
    third = await past(room, limit=2, before=second["before"])

    pages = [first, second, third]
    ids = [one["id"] for page in pages for one in page["messages"]]
    assert ids == sent[::-1]
    assert third["before"] is None


async def test_a_cursor_is_good_for_its_room_alone(room: Person, alice: Person) -> None:
    """It is signed, and names the room."""
    await alice.creates("b")
    for n in range(3):
        await send(room, n)
    cursor = (await past(room, limit=2))["before"]

    wrong = [
        await alice.call("GET", "/rooms/b/messages", params={"before": cursor}),
        await alice.call("GET", "/rooms/a/messages", params={"before": f"{cursor}x"}),
        await alice.call("GET", "/rooms/a/messages", params={"before": "garbage"}),
    ]

    assert [(one.status_code, one.json()["code"]) for one in wrong] == [(400, "invalid-cursor")] * 3


async def test_moderation_stands_before_ably(room: Person) -> None:
    """What breaks a rule is not sent."""
    answer = await send(room, {"text": "buy SPAM"})

    assert (answer.status_code, answer.json()["code"]) == (422, "message-refused")
    assert (await past(room))["messages"] == []


async def test_a_member_has_a_rate(upstash: UpstashServer, ably: AblyServer) -> None:
    """Above it, the answer says when to come again."""
    settings = with_ably(upstash, ably, chat_messages_burst=2, chat_messages_per_s=0.1)
    async with running(settings) as instance:
        alice = Person(instance, "alice")
        await alice.creates("a")
        answers = [await send(alice, n) for n in range(3)]

    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert int(answers[-1].headers["retry-after"]) > 0


async def test_readers_and_strangers_send_nothing(
    room: Person, alice: Person, carol: Person
) -> None:
    """Strangers do not even read."""
    await alice.appoints("a", room, "reader")

    statuses = [
        (await send(room, "hi")).status_code,
        (await send(carol, "hi")).status_code,
        (await carol.call("GET", "/rooms/a/messages")).status_code,
        (await carol.call("GET", "/rooms/a/presence")).status_code,
        (await room.call("GET", "/rooms/a/messages")).status_code,
    ]

    assert statuses == [403, 404, 404, 404, 200]


async def test_presence_of_an_empty_room_is_empty(room: Person) -> None:
    """Who is there is asked of Ably."""
    assert (await room.call("GET", "/rooms/a/presence")).json() == {"present": []}


async def test_a_ban_ends_tokens_at_ably(room: Person, alice: Person, ably: AblyServer) -> None:
    """A token that was good before is none afterwards."""
    request = (await room.call("GET", "/token")).json()
    with anonymous(ably) as http:
        token = http.post(f"/keys/{request['keyName']}/requestToken", json=request).json()["token"]
        path, headers = "/channels/room:a/messages", {"Authorization": f"Bearer {token}"}
        before = http.get(path, headers=headers)

        banned = await alice.bans("a", room)
        after = http.get(path, headers=headers)

    assert banned.json()["is_revoked"]
    assert before.status_code == 200
    assert (after.status_code, after.json()["error"]["code"]) == (401, 40141)


async def test_another_role_ends_tokens_of_the_former_one(
    room: Person, alice: Person, ably: AblyServer
) -> None:
    """Who was muted writes no more, without waiting for the token's end."""
    request = (await room.call("GET", "/token")).json()
    with anonymous(ably) as http:
        token = http.post(f"/keys/{request['keyName']}/requestToken", json=request).json()["token"]
        path, headers = "/channels/room:a/messages", {"Authorization": f"Bearer {token}"}
        before = http.post(path, headers=headers, json={"name": "m", "data": "x"})

        appointed = await alice.appoints("a", room, "reader")
        after = http.post(path, headers=headers, json={"name": "m", "data": "x"})

    assert appointed.json()["is_revoked"]
    assert (before.status_code, after.status_code) == (201, 401)


@pytest.mark.parametrize("change", ["replayed", "widened", "renamed"])
async def test_a_token_request_is_good_once_and_as_it_is(
    room: Person, ably: AblyServer, change: str
) -> None:
    """Ably refuses it a second time, with more rooms, and for somebody else."""
    request = (await room.call("GET", "/token")).json()
    path = f"/keys/{request['keyName']}/requestToken"
    changed = {
        "replayed": request,
        "widened": {**request, "capability": '{"*":["*"]}'},
        "renamed": {**request, "clientId": "alice"},
    }[change]

    with anonymous(ably) as http:
        if change == "replayed":
            assert http.post(path, json=request).status_code == 201
        answer = http.post(path, json=changed)

    assert answer.status_code == 401
    assert answer.json()["error"]["code"] in {40101, 40105}


async def test_a_message_comes_back_to_readers_of_the_topic(
    upstash: UpstashServer, ably: AblyServer, room: Person
) -> None:
    """What is sent through us, too, reaches the topic by the webhook alone."""
    assert (await send(room, "hi")).status_code == 201

    assert await room.events("room:a") == []


async def test_an_ably_that_is_away_is_said_to_be(upstash: UpstashServer) -> None:
    """Soon enough for a function; whether a message was sent is then uncertain."""
    async with running(chat_settings(upstash)) as instance:
        alice = Person(instance, "alice")
        await alice.creates("a")
        began = time.monotonic()
        answers = [
            await send(alice, "hi"),
            await alice.call("GET", "/rooms/a/messages"),
            await alice.call("GET", "/rooms/a/presence"),
        ]

    assert [(one.status_code, one.json()["code"]) for one in answers] == [
        (503, "publish-uncertain"),
        (503, "ably-unavailable"),
        (503, "ably-unavailable"),
    ]
    assert time.monotonic() - began < 5


async def test_a_key_that_ably_does_not_know_is_the_operators_matter(
    upstash: UpstashServer, ably: AblyServer
) -> None:
    """502: nobody who calls can mend it."""
    wrong = f"{ably.key}x"
    settings = chat_settings(upstash, ABLY_API_KEY=SecretStr(wrong), ably_url=ably.url)
    async with running(settings) as instance:
        alice = Person(instance, "alice")
        await alice.creates("a")
        answer = await send(alice, "hi")

    assert (answer.status_code, answer.json()["code"]) == (502, "ably-refused")


async def test_a_silent_ably_is_given_up() -> None:
    """Every call ends within its time, though nobody answers."""

    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    began = time.monotonic()
    async with TcpServer(silent) as server:
        ably = AblyRest(AblyKey.parse(KEY), server.url, request_s=0.3)
        with pytest.raises(AblyUnavailable):
            await ably.presence("room:a", limit=1)
        await ably.close()

    assert time.monotonic() - began < 5


def test_each_event_loop_has_its_own_connections(ably: AblyServer) -> None:
    """On Lambda the loop may change between two invocations."""
    client = AblyRest(AblyKey.parse(ably.key), ably.url)

    async def publish(number: int) -> None:
        await client.publish("room:a", {"id": f"m{number}", "name": "m", "data": "x"})
        await client.publish("room:a", {"id": f"n{number}", "name": "m", "data": "x"})
        await client.close()

    for number in range(2):
        asyncio.run(publish(number))


async def test_a_connection_that_died_is_replaced(ably: AblyServer) -> None:
    """A function that was frozen wakes with connections that are gone."""
    other = AblyServer().start()
    port = other.port
    client = AblyRest(AblyKey.parse(other.key), other.url)
    try:
        await client.publish("room:a", {"id": "1", "name": "m"})
        other.kill()
        with pytest.raises(PublishUncertain):
            await client.publish("room:a", {"id": "2", "name": "m"})
        other = AblyServer(f"--port={port}").start()
        await client.publish("room:a", {"id": "3", "name": "m"})
    finally:
        await client.close()
        other.kill()
