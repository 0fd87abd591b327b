"""Who may make, see, join and leave rooms, and who decides about others."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests.integration.chat.conftest import People
from tests.support.chat import Person, chat_settings
from tests.support.instances import Instance, running
from tests.support.upstash_server import UpstashServer


async def codes(person: Person, *calls: tuple[str, str]) -> list[int]:
    return [(await person.call(method, path)).status_code for method, path in calls]


async def test_who_makes_a_room_moderates_it(alice: Person) -> None:
    """The answer says where it is, on our topics and on Ably."""
    answer = await alice.creates("lobby", is_public=True)

    room = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == "/api/chat/rooms/lobby"
    assert (room["role"], room["topic"], room["channel"]) == (
        *("moderator", "room:lobby", "room:lobby"),
    )


async def test_an_id_is_taken_once(alice: Person, bob: Person) -> None:
    """Of two at the same time one has the room."""
    answers = await asyncio.gather(alice.creates("lobby"), bob.creates("lobby"))

    assert sorted(answer.status_code for answer in answers) == [201, 409]


async def test_everybody_sees_and_joins_a_public_room(alice: Person, bob: Person) -> None:
    """With the role that the room gives to who comes by."""
    await alice.creates("news", is_public=True, joins_as="reader")

    listed = (await bob.call("GET", "/rooms?scope=public")).json()["rooms"]
    joined = await bob.joins("news")

    assert [room["id"] for room in listed] == ["news"]
    assert joined.json() == {"role": "reader"}
    assert (await bob.joins("news")).json() == {"role": "reader"}


async def test_public_rooms_come_in_pages(alice: Person) -> None:
    """In the order of their ids; the last page says that it is the last."""
    for name in ("c", "a", "b"):
        await alice.creates(name, is_public=True)

    first = (await alice.call("GET", "/rooms?scope=public&limit=2")).json()
    second = (await alice.call("GET", f"/rooms?scope=public&after={first['after']}")).json()

    assert [room["id"] for room in first["rooms"]] == ["a", "b"]
    assert [room["id"] for room in second["rooms"]] == ["c"]
    assert second["after"] is None


async def test_a_private_room_is_unknown_to_strangers(alice: Person, bob: Person) -> None:
    """Each answer is that of a room that does not exist."""
    await alice.creates("den")
    calls = [("GET", ""), ("GET", "/members"), ("POST", "/join"), ("GET", "/bans")]

    for room in ("den", "nowhere"):
        found = await codes(bob, *((method, f"/rooms/{room}{path}") for method, path in calls))
        assert found == [404, 404, 404, 404]


async def test_an_invitation_opens_a_private_room(alice: Person, bob: Person) -> None:
    """With the role invited to; until then the invited one is no member."""
    await alice.creates("den")

    invited = await alice.appoints("den", bob, "reader")
    mine = (await bob.call("GET", "/rooms")).json()["rooms"]
    joined = await bob.joins("den")

    assert invited.json() == {
        "user": "bob",
        "role": "reader",
        "is_invitation": True,
        "is_revoked": False,
    }
    assert [(room["role"], room["invited_as"]) for room in mine] == [(None, "reader")]
    assert joined.json() == {"role": "reader"}


async def test_an_invitation_can_be_declined(alice: Person, bob: Person) -> None:
    """Then it is gone."""
    await alice.creates("den")
    await alice.appoints("den", bob)

    await bob.call("POST", "/rooms/den/leave")

    assert (await bob.call("GET", "/rooms")).json()["rooms"] == []
    assert (await bob.joins("den")).status_code == 404


@pytest.mark.parametrize("role", ["reader", "member"])
async def test_only_moderators_appoint(
    alice: Person, bob: Person, carol: Person, role: str
) -> None:
    """A member neither invites nor promotes itself."""
    await alice.creates("den")
    await alice.appoints("den", bob, role)
    await bob.joins("den")

    for other in (carol, bob):
        assert (await bob.appoints("den", other, "moderator")).status_code == 403


async def test_members_are_listed_to_members_moderators_first(
    alice: Person, bob: Person, carol: Person
) -> None:
    """Page by page."""
    await alice.creates("den", is_public=True, joins_as="reader")
    for other in (bob, carol):
        await other.joins("den")
    await alice.appoints("den", carol, "member")

    first = (await bob.call("GET", "/rooms/den/members?limit=2")).json()
    second = (await bob.call("GET", f"/rooms/den/members?offset={first['offset']}")).json()

    assert [(one["user"], one["role"]) for one in [*first["members"], *second["members"]]] == [
        ("alice", "moderator"),
        ("carol", "member"),
        ("bob", "reader"),
    ]


async def test_a_room_keeps_a_moderator(alice: Person, bob: Person) -> None:
    """The last one neither leaves nor steps down while others are there."""
    await alice.creates("den", is_public=True)
    await bob.joins("den")

    stuck = [
        (await alice.call("POST", "/rooms/den/leave")).status_code,
        (await alice.appoints("den", alice, "member")).status_code,
    ]
    await alice.appoints("den", bob, "moderator")
    left = await alice.call("POST", "/rooms/den/leave")

    assert (stuck, left.status_code) == ([409, 409], 204)
    assert (await alice.call("GET", "/rooms/den/members")).status_code == 404


async def test_a_room_ends_with_its_last_member(alice: Person, bob: Person) -> None:
    """Nobody finds it any more, and nobody makes another one of its id."""
    await alice.creates("den", is_public=True)

    await alice.call("POST", "/rooms/den/leave")

    assert (await bob.call("GET", "/rooms?scope=public")).json()["rooms"] == []
    assert (await bob.creates("den")).status_code == 410


async def test_a_ban_ends_a_membership_for_good(alice: Person, bob: Person) -> None:
    """Neither the door nor an invitation leads back, until the ban is lifted."""
    await alice.creates("den", is_public=True)
    await bob.joins("den")

    banned = await alice.bans("den", bob)
    shut = [
        (await bob.joins("den")).status_code,
        (await alice.appoints("den", bob)).status_code,
        (await bob.call("GET", "/rooms/den/members")).status_code,
    ]
    listed = (await alice.call("GET", "/rooms/den/bans")).json()["users"]
    await alice.call("DELETE", "/rooms/den/bans/bob")

    assert banned.json() == {"user": "bob", "is_revoked": False}  # nobody listens there
    assert shut == [403, 409, 404]
    assert listed == ["bob"]
    assert (await bob.joins("den")).status_code == 200


async def test_moderators_do_not_ban_each_other(alice: Person, bob: Person, admin: Person) -> None:
    """Nor themselves; an admin decides between them."""
    await alice.creates("den", is_public=True)
    await bob.joins("den")
    await alice.appoints("den", bob, "moderator")

    assert (await bob.bans("den", alice)).status_code == 403
    assert (await bob.bans("den", bob)).status_code == 403
    assert (await admin.bans("den", alice)).status_code == 200


async def test_moderators_do_not_demote_each_other(
    alice: Person, bob: Person, admin: Person
) -> None:
    """Or one could demote the other, even the maker of the room, and then ban."""
    await alice.creates("den", is_public=True)
    await bob.joins("den")
    await alice.appoints("den", bob, "moderator")

    for role in ("member", "reader"):
        refused = await bob.appoints("den", alice, role)
        assert (refused.status_code, refused.json()["code"]) == (403, "not-allowed-in-room")
    assert (await bob.bans("den", alice)).status_code == 403
    assert (await bob.appoints("den", alice, "moderator")).json()["role"] == "moderator"
    assert (await admin.appoints("den", alice, "member")).status_code == 200


async def test_a_moderator_steps_down(alice: Person, bob: Person) -> None:
    """That is the moderator's own decision, and no other one's."""
    await alice.creates("den", is_public=True)
    await bob.joins("den")
    await alice.appoints("den", bob, "moderator")

    stepped = await alice.appoints("den", alice, "member")

    assert stepped.json()["role"] == "member"
    assert (await bob.bans("den", alice)).status_code == 200


async def test_who_is_banned_everywhere_has_no_rooms(
    alice: Person, bob: Person, admin: Person
) -> None:
    """Without losing the memberships: lifted, all is as before."""
    await alice.creates("den", is_public=True)
    await bob.joins("den")

    refused = await alice.call("POST", "/bans", json={"user": "bob"})
    await admin.call("POST", "/bans", json={"user": "bob"})
    meanwhile = [
        (await bob.joins("den")).status_code,
        (await bob.creates("own")).status_code,
        (await bob.call("GET", "/rooms/den/members")).status_code,
        (await bob.call("GET", "/rooms")).json()["rooms"],
    ]
    listed = (await admin.call("GET", "/bans")).json()["users"]
    await admin.call("DELETE", "/bans/bob")

    assert refused.status_code == 403
    assert meanwhile == [403, 403, 404, []]
    assert listed == ["bob"]
    assert (await bob.call("GET", "/rooms/den/members")).status_code == 200


async def test_members_read_the_topic_of_their_room(
    alice: Person, bob: Person, carol: Person
) -> None:
    """Strangers and the banned do not; nobody publishes there by hand."""
    await alice.creates("den", is_public=True, joins_as="reader")
    for other in (bob, carol):
        await other.joins("den")
    await alice.bans("den", carol)

    read = [
        (await one.http.get("/api/events/room:den/history")).status_code
        for one in (alice, bob, carol)
    ]
    written = await alice.http.post("/api/events/room:den", json={"type": "chat.message"})

    assert (read, written.status_code) == ([200, 200, 403], 403)


async def test_one_user_is_in_a_bounded_number_of_rooms(
    upstash: UpstashServer,
) -> None:
    """A token could not name them all; invitations of strangers do not count."""
    async with running(chat_settings(upstash, chat_max_rooms=2)) as instance:
        alice, bob = Person(instance, "alice"), Person(instance, "bob")
        await bob.creates("p")
        await bob.creates("q")
        assert (await bob.creates("r")).status_code == 409
        await bob.appoints("p", alice)
        await bob.appoints("q", alice)

        assert (await alice.creates("a")).status_code == 201
        assert (await alice.joins("p")).status_code == 200
        full = await alice.joins("q")
        assert (full.status_code, full.json()["code"]) == (409, "room-conflict")


async def test_a_repeat_of_a_lost_answer_changes_nothing(
    upstash: UpstashServer, alice: Person, person: People
) -> None:
    """Each change is sent again when its answer is lost."""
    upstash.faults(lose_replies=1, only=["EVAL"])
    made = await alice.creates("den", is_public=True)
    upstash.faults(lose_replies=1, only=["EVAL"])
    joined = await person("bob").joins("den")

    assert (made.status_code, joined.status_code) == (201, 200)


async def test_each_change_is_billed_as_upstash_bills(
    instance: Instance, upstash: UpstashServer, alice: Person, bob: Person
) -> None:
    """Also those that are refused half-way."""
    meter = instance.services.redis._meter
    upstash.reset_meter()
    before = Counter(meter.commands)

    await alice.creates("den", is_public=True)
    await bob.creates("den")
    await bob.joins("den")
    await bob.joins("nowhere")
    await alice.appoints("den", bob, "moderator")
    await bob.appoints("nowhere", alice)
    await bob.call("POST", "/rooms/den/leave")
    await alice.bans("den", bob)
    await bob.joins("den")
    await alice.call("DELETE", "/rooms/den/bans/bob")
    await alice.call("POST", "/rooms/den/leave")
    await bob.creates("den")

    assert meter.commands - before == Counter(upstash.meter().commands)
