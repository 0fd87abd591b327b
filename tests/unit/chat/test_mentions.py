"""Who is meant by a message."""

from __future__ import annotations

from typing import Any

import pytest

from api.chat.rooms.standing import RoomId
from api.chat.webhook.inbound import ChatMessage
from api.chat.webhook.mentions import MAX_MENTIONS, candidates


def message(data: Any, **changes: Any) -> ChatMessage:
    given = {"client_id": "alice", **changes}
    return ChatMessage(
        RoomId("a"), key="k", id="1", name="m", data=data, encoding="", timestamp=0, **given
    )


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("hi @bob", ["bob"]),
        ("@bob @carol @bob", ["bob", "carol"]),
        ("ask @bob.", ["bob.", "bob"]),
        ("(@bob)", ["bob"]),
        ("mail bob@example.org", []),
        ("@@bob", []),
        ("@", []),
        ("me: @alice", []),
        ({"text": "hi @bob"}, ["bob"]),
        ({"other": "@bob"}, []),
        (["@bob"], []),
        (None, []),
    ],
)
def test_names_in_the_text_are_candidates(data: Any, expected: list[str]) -> None:
    """Each once, without the author; e-mail addresses name nobody."""
    assert candidates(message(data)) == expected


def test_extras_may_name_users_too() -> None:
    """For clients that know whom they mean; what cannot be a name is left out."""
    extras = {"headers": {"mentions": "bob, carol,auth0|7, ,a\nb"}}

    assert candidates(message("hi", extras=extras)) == ["bob", "carol", "auth0~7C7"]


def test_edits_mention_nobody() -> None:
    """They were told when the message was sent."""
    assert candidates(message("@bob", action="updated")) == []


def test_a_message_mentions_a_bounded_number() -> None:
    """Or one message could fill a thousand inboxes."""
    assert len(candidates(message(" ".join(f"@u{n}" for n in range(100))))) == MAX_MENTIONS
