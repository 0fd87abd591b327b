"""A room ends with its last member, and its id with it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest

from api.chat.problems import RoomEnded
from api.chat.rooms.standing import Role, RoomId
from api.chat.rooms.store import Room, RoomStore, user_key
from tests.support.chat import Person, batch, chat_settings, item, message
from tests.support.instances import Instance, running
from tests.support.upstash_server import UpstashServer


async def leaves(person: Person, room: str) -> None:
    (await person.call("POST", f"/rooms/{room}/leave")).raise_for_status()


async def names(person: Person) -> list[str]:
    return [room["id"] for room in (await person.call("GET", "/rooms")).json()["rooms"]]


async def test_an_id_is_used_once(alice: Person, bob: Person) -> None:
    """After a room's end nobody gets its id again, so nobody reads what was said there."""
    await alice.creates("den")
    said = await alice.call("POST", "/webhook", **batch(item(message("c:0"), channel="room:den")))
    assert said.json()["stored"] == 1
    await leaves(alice, "den")

    for person in (bob, alice):
        answer = await person.creates("den")

        assert (answer.status_code, answer.json()["code"]) == (410, "room-ended")
        assert (await person.http.get("/api/events/room:den/history")).status_code == 403
        assert (await person.call("GET", "/token")).status_code == 401


async def test_of_a_leave_and_a_creation_at_once_neither_opens_the_old_room(
    alice: Person, bob: Person
) -> None:
    """Whichever comes first, the id is taken or ended."""
    await alice.creates("den")

    _, made = await asyncio.gather(leaves(alice, "den"), bob.creates("den"))

    assert made.status_code in (409, 410)
    assert (await bob.creates("den")).status_code == 410


async def test_a_repeated_creation_undoes_nothing(
    instance: Instance, alice: Person, bob: Person, admin: Person
) -> None:
    """It is sent again when its answer is lost; what was decided since then stands."""
    rooms = RoomStore(instance.services.redis, max_rooms=200)
    den, pub = Room("Den", True, Role.MEMBER, "alice", 1), Room("Pub", True, Role.MEMBER, "bob", 2)
    await rooms.create(RoomId("den"), den)
    await rooms.create(RoomId("pub"), pub)
    await admin.bans("den", alice)
    await leaves(bob, "pub")

    await rooms.create(RoomId("den"), den)
    with pytest.raises(RoomEnded):
        await rooms.create(RoomId("pub"), pub)

    assert await names(alice) == []


async def test_an_invitation_ends_with_the_room(alice: Person, bob: Person) -> None:
    """Its holder joins nothing and makes nothing with it."""
    await alice.creates("den")
    await alice.appoints("den", bob, "moderator")
    await leaves(alice, "den")

    assert await names(bob) == []
    assert (await bob.joins("den")).status_code == 404
    assert (await bob.creates("den")).status_code == 410


async def test_a_ban_ends_with_the_room(alice: Person, bob: Person) -> None:
    """The banned one is told what everybody is told, and its connection does not fail for good."""
    await alice.creates("den", is_public=True)
    await bob.joins("den")
    await alice.bans("den", bob)
    assert (await bob.call("GET", "/token")).status_code == 403
    await leaves(alice, "den")

    assert (await bob.joins("den")).status_code == 404
    assert (await bob.call("GET", "/token")).status_code == 401
    assert (await bob.call("GET", "/token?rooms=den")).status_code == 401


@pytest.mark.parametrize("how", [Person.appoints, Person.bans], ids=["invitations", "bans"])
async def test_what_is_left_of_ended_rooms_takes_no_place(
    upstash: UpstashServer, how: Callable[..., Awaitable[httpx.Response]]
) -> None:
    """Rooms that end at once cannot fill a user up, so that nobody else can invite."""
    async with running(chat_settings(upstash, chat_max_rooms=2)) as instance:
        alice, mallory, bob = (Person(instance, name) for name in ("alice", "mallory", "bob"))
        await alice.creates("own")
        for number in range(20):
            await mallory.creates(f"trap-{number}")
            (await how(mallory, f"trap-{number}", alice)).raise_for_status()
            await leaves(mallory, f"trap-{number}")
        await bob.creates("den")

        kept = await instance.services.redis.read("HLEN", user_key("alice"))
        answer = await bob.appoints("den", alice)

        assert kept <= 6
        assert answer.status_code == 200
        assert sorted(await names(alice)) == ["den", "own"]


async def test_live_invitations_do_take_places(upstash: UpstashServer) -> None:
    """Only those of ended rooms make way."""
    async with running(chat_settings(upstash, chat_max_rooms=1)) as instance:
        alice = Person(instance, "alice")
        answers = []
        for number in range(4):
            host = Person(instance, f"host-{number}")
            await host.creates(f"den-{number}")
            answers.append((await host.appoints(f"den-{number}", alice)).status_code)

        assert answers == [200, 200, 200, 409]


@pytest.mark.parametrize("role", ["reader", "member"])
async def test_a_room_ends_with_its_last_member_whatever_the_role(
    alice: Person, bob: Person, admin: Person, role: str
) -> None:
    """Also where an admin has banned the moderator."""
    await alice.creates("den", is_public=True, joins_as=role)
    await bob.joins("den")
    await admin.bans("den", alice)

    await leaves(bob, "den")

    assert (await admin.call("GET", "/rooms/den")).status_code == 404
    assert (await bob.creates("den")).status_code == 410


async def test_declining_an_invitation_ends_no_room(
    alice: Person, bob: Person, admin: Person
) -> None:
    """Only a member's leaving does; an admin may still mend a room that has lost its members."""
    await alice.creates("den")
    await alice.appoints("den", bob)
    await admin.bans("den", alice)

    await leaves(bob, "den")

    assert (await admin.call("GET", "/rooms/den")).status_code == 200


async def test_a_new_room_counts_as_an_event_that_is_published(
    upstash: UpstashServer,
) -> None:
    """An ended id is kept for good, so one caller must not fill the store with them."""
    async with running(chat_settings(upstash, publish_burst=2, publish_per_s=0.01)) as slow:
        alice = Person(slow, "alice")
        answers = [await alice.creates(f"den-{number}") for number in range(3)]

    assert [answer.status_code for answer in answers] == [201, 201, 429]
    assert int(answers[-1].headers["retry-after"]) > 0
