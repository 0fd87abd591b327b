"""What a delivery of the webhook is read into."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.chat.tokens.capability import Channels
from api.chat.webhook.inbound import MAX_ITEMS, ChatMessage, PresenceChange, read_delivery
from api.problems import PayloadTooLarge, ValidationFailed

CHANNELS = Channels()
NOW = 1_795_204_020_000
MESSAGE = {"id": "c:0:0", "name": "m", "clientId": "bob", "data": "hi", "timestamp": NOW}
ENTER = {"id": "c:1:0", "action": 2, "clientId": "bob", "timestamp": NOW}


def batch(*messages: Any, channel: str = "room:a", **changes: Any) -> dict[str, Any]:
    item = {
        "webhookId": "w",
        "source": "channel.message",
        "timestamp": NOW,
        "data": {"channelId": channel, "site": "s", "messages": list(messages)},
        **changes,
    }
    return {"items": [item]}


def presence(*entries: Any) -> dict[str, Any]:
    data = {"channelId": "room:a", "site": "s", "presence": list(entries)}
    return {"items": [{"source": "channel.presence", "timestamp": NOW, "data": data}]}


def one(body: Any) -> Any:
    ((found,), ignored) = read_delivery(body, CHANNELS)
    assert ignored == 0
    return found


def test_a_batch_and_a_single_delivery_are_read_alike() -> None:
    """The rule's mode makes no difference to what is stored."""
    single = {
        "source": "channel.message",
        "appId": "app",
        "channel": "room:a",
        "timestamp": NOW,
        "messages": [MESSAGE],
    }

    assert one(single) == one(batch(MESSAGE))
    assert one(single).data == "hi"


def test_what_a_message_lacks_is_taken_from_its_delivery() -> None:
    """Ably leaves out what is the same for all."""
    bare = {"id": "c:0:0", "data": "hi"}

    assert one(batch(bare)).timestamp == NOW


def test_a_message_of_the_chat_sdk_belongs_to_the_same_room() -> None:
    """Its channel has a suffix, its text is a field."""
    message = {**MESSAGE, "data": '{"text":"hi","metadata":{}}', "encoding": "json"}

    found = one(batch(message, channel="room:a::$chat"))

    assert (found.room, found.text, found.is_of_chat_sdk) == ("a", "hi", True)


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (None, "created"),
        (0, "created"),
        (1, "updated"),
        (2, "deleted"),
        ("message.delete", "deleted"),
    ],
)
def test_changes_of_messages_are_told_apart(action: Any, expected: str) -> None:
    """Each version of a message is another thing to store."""
    found = one(batch({**MESSAGE, "action": action, "version": {"serial": "v2"}}))

    assert found.action == expected
    assert found.key != one(batch({**MESSAGE, "version": {"serial": "v3"}})).key


@pytest.mark.parametrize(("action", "expected"), [(2, "enter"), (3, "leave"), ("update", "update")])
def test_presence_is_read_as_what_happened(action: Any, expected: str) -> None:
    """With the user it happened to."""
    found = one(presence({**ENTER, "action": action}))

    assert isinstance(found, PresenceChange)
    assert (found.action, found.client_id) == (expected, "bob")


IGNORED: list[Any] = [
    batch(MESSAGE, channel="orders"),
    batch(MESSAGE, channel="room:a:b"),
    batch({**MESSAGE, "extras": {"ephemeral": True}}),
    batch({**MESSAGE, "action": 4}),
    batch({**MESSAGE, "action": [1]}),
    batch({**MESSAGE, "id": None}),
    batch({**MESSAGE, "id": 7}),
    batch({**MESSAGE, "timestamp": "soon"}),
    batch({**MESSAGE, "timestamp": 10**400}),
    batch({**MESSAGE, "timestamp": -1}),
    batch("not a message"),
    batch(MESSAGE, source="channel.lifecycle"),
    batch(MESSAGE, data=None),
    {"items": ["not an item"]},
    {"source": "channel.message", "channel": "room:a", "messages": "none"},
    presence({**ENTER, "action": 1}),
    presence({**ENTER, "clientId": None}),
    presence({**ENTER, "clientId": "a:b"}),
]


@pytest.mark.parametrize("body", IGNORED, ids=range(len(IGNORED)))
def test_what_is_not_for_us_is_counted_and_left(body: Any) -> None:
    """Refusing it would only make Ably deliver it again."""
    assert read_delivery(body, CHANNELS) == ([], 1)


@pytest.mark.parametrize("body", [None, [], "x", {}, {"items": {}}, {"messages": []}])
def test_what_is_no_delivery_is_refused(body: Any) -> None:
    """Something else posts here, and should be told."""
    with pytest.raises(ValidationFailed):
        read_delivery(body, CHANNELS)


def test_a_delivery_has_a_bound() -> None:
    """One more than the most, as items or as messages of one item."""
    items = {"items": batch(MESSAGE)["items"] * (MAX_ITEMS + 1)}

    for body in (items, batch(*[MESSAGE] * (MAX_ITEMS + 1))):
        with pytest.raises(PayloadTooLarge):
            read_delivery(body, CHANNELS)


def test_the_key_of_a_message_is_the_same_in_each_delivery() -> None:
    """And another for another id, another channel, another action."""
    keys = {
        one(body).key
        for body in (
            batch(MESSAGE),
            batch(MESSAGE, webhookId="again", timestamp=NOW + 1),
            batch({**MESSAGE, "id": "c:0:1"}),
            batch(MESSAGE, channel="room:b"),
            batch(MESSAGE, channel="room:a::$chat"),
            batch({**MESSAGE, "action": 2}),
        )
    }

    assert len(keys) == 5


junk: Any = st.recursive(
    st.none()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["room:a", "channel.message"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["items", "data", "messages", "channelId", "source", "id", "timestamp"]
            ),
            inner,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=200)
@given(junk)
def test_no_json_makes_it_fail(body: Any) -> None:
    """It is read, ignored or refused."""
    try:
        found, _ = read_delivery(body, CHANNELS)
    except ValidationFailed:
        return
    assert all(isinstance(item, ChatMessage | PresenceChange) for item in found)
