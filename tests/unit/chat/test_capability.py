"""What a token lets its holder do: nothing that a membership does not grant."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.chat.rooms.standing import Role, RoomId, parse_room
from api.chat.tokens.capability import Channels, Policy
from api.problems import ValidationFailed

ROOM = RoomId("a")


def operations(role: Role, *, may_publish: bool = True) -> dict[str, set[str]]:
    policy = Policy(Channels(), may_publish=may_publish)
    return {k: set(v) for k, v in json.loads(policy.capability({ROOM: role})).items()}


def test_readers_only_read() -> None:
    """They neither write nor show themselves."""
    assert operations(Role.READER) == {
        "room:a": {"subscribe", "history"},
        "room:a::$chat": {"subscribe", "history", "annotation-subscribe"},
    }


def test_members_also_write_and_are_seen() -> None:
    """Of others' messages they change none."""
    granted = operations(Role.MEMBER)

    assert granted["room:a"] == {"subscribe", "history", "publish", "presence"}
    assert granted["room:a::$chat"] == granted["room:a"] | {
        *("annotation-subscribe", "annotation-publish", "channel-metadata"),
        *("message-update-own", "message-delete-own"),
    }


def test_moderators_also_change_what_others_wrote() -> None:
    """On both channels of the room."""
    extra = {"message-update-any", "message-delete-any"}
    member, moderator = operations(Role.MEMBER), operations(Role.MODERATOR)

    assert moderator == {channel: granted | extra for channel, granted in member.items()}


@pytest.mark.parametrize("role", Role)
def test_without_direct_publishing_no_token_writes(role: Role) -> None:
    """Every message then passes our moderation."""
    for granted in operations(role, may_publish=False).values():
        assert not granted & {"publish", "annotation-publish", "message-update-own"}


def test_no_rooms_grant_nothing() -> None:
    """An empty capability is the empty object, never a missing one."""
    assert Policy(Channels()).capability({}) == "{}"


@given(st.text(max_size=70))
def test_a_room_is_never_a_wildcard_nor_anothers_channel(text: str) -> None:
    """Whatever somebody calls a room, it leads to its own two channels or to none."""
    try:
        room = parse_room(text)
    except ValidationFailed:
        return

    for channel in json.loads(Policy(Channels("ns")).capability({room: Role.READER})):
        segments = channel.removesuffix("::$chat").split(":")
        assert segments == ["ns", "room", text]
        assert not set("*[]\n:") & set(text)


@pytest.mark.parametrize(
    ("channel", "room"),
    [
        ("ns:room:a", "a"),
        ("ns:room:a::$chat", "a"),
        ("room:a", None),
        ("ns:room:a:b", None),
        ("ns:room:", None),
        ("ns:room:*", None),
        ("ns:room:a\n", None),
        ("[meta]ns:room:a", None),
        ("other:room:a", None),
        ("", None),
    ],
)
def test_only_channels_of_rooms_lead_to_rooms(channel: str, room: str | None) -> None:
    """A webhook tells of all channels of the application."""
    assert Channels("ns").room(channel) == room
