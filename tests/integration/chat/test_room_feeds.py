"""The members of a room read the feed that its messages show in."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.chat import Person, batch, chat_settings, item, message
from tests.support.instances import Instance, running
from tests.support.upstash_server import UpstashServer

FEED = "/api/activity/workspace:den"
ACTION = {"verb": "edited", "object": {"type": "document", "id": "42"}}


@pytest.fixture
async def den(alice: Person, bob: Person) -> Person:
    """Bob, who reads in a private room where alice has said something."""
    await alice.creates("den")
    await alice.appoints("den", bob, "reader")
    await bob.joins("den")
    await alice.call("POST", "/webhook", **batch(item(message("c:0"), channel="room:den")))
    return bob


async def verbs(person: Person) -> Any:
    answer = await person.http.get(FEED)
    return [entry["data"]["verb"] for entry in answer.raise_for_status().json()["data"]]


async def test_members_of_a_room_read_its_feed(den: Person, alice: Person) -> None:
    """Whatever their role, as a page and as a topic."""
    for member in (den, alice):
        assert await verbs(member) == ["posted"]
        assert len(await member.events("workspace:den:activity")) == 1


async def test_nobody_else_reads_the_feed_of_a_room(
    den: Person, alice: Person, carol: Person
) -> None:
    """Neither strangers nor the invited, nor the banned, nor who has left."""
    await alice.appoints("den", carol)
    assert (await carol.http.get(FEED)).status_code == 403
    await carol.joins("den")
    assert (await carol.http.get(FEED)).status_code == 200
    await carol.call("POST", "/rooms/den/leave")
    await alice.bans("den", den)

    for other in (carol, den):
        assert (await other.http.get(FEED)).status_code == 403
        assert (await other.http.get("/api/activity/workspace:elsewhere")).status_code == 403


async def test_members_do_not_write_to_the_feed(den: Person, alice: Person) -> None:
    """That takes a grant, as before."""
    for member in (den, alice):
        assert (await member.http.post(FEED, json=ACTION)).status_code == 403


async def test_a_room_opens_no_feed_of_others(bob: Person, admin: Person) -> None:
    """An id is free to choose; so a feed that is in use is not opened by a room of its name."""
    (await admin.http.post(FEED, json=ACTION)).raise_for_status()

    answer = await bob.creates("den")

    assert (answer.status_code, answer.json()["code"]) == (409, "room-conflict")
    assert (await bob.http.get(FEED)).status_code == 403


async def test_of_a_room_and_a_feed_at_once_the_room_sees_no_former_entry(
    bob: Person, admin: Person
) -> None:
    """Whether the feed is in use is asked in the same step that makes the room."""
    made, _ = await asyncio.gather(bob.creates("den"), admin.http.post(FEED, json=ACTION))

    assert (await bob.http.get(FEED)).status_code == (200 if made.status_code == 201 else 403)


async def test_who_reads_a_workspace_makes_its_room(instance: Instance, admin: Person) -> None:
    """The grant for the feed is the right to the room of its name."""
    (await admin.http.post(FEED, json=ACTION)).raise_for_status()
    sessions = instance.services.security.sessions
    token = sessions.issue("bob", grants={"read": ["workspace:den:**"]}, ttl_s=600)
    headers = {"Authorization": f"Bearer {token}"}

    body = {"id": "den", "title": "Den"}
    answer = await admin.http.post("/api/chat/rooms", json=body, headers=headers)

    assert answer.status_code == 201


async def test_without_chat_activity_a_room_has_no_feed(upstash: UpstashServer) -> None:
    """Then a workspace of a room's name has nothing to do with the room."""
    async with running(chat_settings(upstash, chat_activity=False)) as instance:
        bob, admin = Person(instance, "bob"), Person(instance, "root", "admin")
        (await admin.http.post(FEED, json=ACTION)).raise_for_status()

        assert (await bob.creates("den")).status_code == 201
        assert (await bob.http.get(FEED)).status_code == 403
