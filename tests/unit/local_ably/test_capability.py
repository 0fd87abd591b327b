"""What a capability covers."""

from __future__ import annotations

import json

import pytest

from infra.local.ably.keys_and_tokens.capability import Capability, matches
from infra.local.ably.protocol import OPERATIONS, AblyError


@pytest.mark.parametrize(
    ("resource", "channel", "is_covered"),
    [
        ("room", "room", True),
        ("room", "room:1", False),
        ("room", "rooms", False),
        ("*", "room", True),
        ("*", "room:1:2", True),
        ("*", "[meta]log", False),
        ("room:*", "room:1", True),
        ("room:*", "room:1:2", True),
        ("room:*", "room:42::$chat", True),
        ("room:*", "room", False),
        ("room:*:in", "room:1:in", True),
        ("room:*:in", "room:1:2:in", False),
        ("*:in", "room:in", True),
        ("*:in", "room:1:in", False),
        ("room*", "room1", False),
        ("room*", "room*", True),
        ("ro*:1", "room:1", False),
        ("[*]*", "room:1", True),
        ("[*]*", "[meta]log", True),
        ("[meta]*", "[meta]log", True),
        ("[meta]*", "log", False),
        ("[meta]log", "[meta]log", True),
        ("", "", True),
    ],
)
def test_a_star_is_a_whole_segment_and_at_the_end_any_number(
    resource: str, channel: str, is_covered: bool
) -> None:
    """Elsewhere `*` is a plain character. Channels with a qualifier need it in the pattern."""
    assert matches(resource, channel) is is_covered


def test_an_operation_is_allowed_by_name_or_by_star() -> None:
    """One resource is enough; another one without the operation takes nothing away."""
    capability = Capability.parse('{"a":["publish"],"*":["subscribe"],"b:*":["*"]}')

    assert capability.allows("publish", "a")
    assert capability.allows("subscribe", "a")
    assert not capability.allows("publish", "c")
    assert capability.allows("anything", "b:1")


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "1", "[]", '{"a":"*"}', '{"a":[]}', '{"a":[1]}', '{"a":[["publish"]]}'),
        *('{"a":["publish_"]}', '{"a":["publish","Publish"]}', '{"a":["*","publish"]}'),
        '{"a":["publish"],"b":["none"]}',
    ],
)
def test_what_is_no_capability_is_40003(text: str) -> None:
    """The service refuses unknown operations, and `*` beside others."""
    with pytest.raises(AblyError) as raised:
        Capability.parse(text)

    assert raised.value.code == 40003


@pytest.mark.parametrize("operation", ["*", "history", "channel-metadata", *OPERATIONS.values()])
def test_an_operation_of_the_service_is_legal(operation: str) -> None:
    assert Capability.parse(json.dumps({"a": [operation]})).allows(operation, "a")


@pytest.mark.parametrize(
    ("ours", "wanted", "both"),
    [
        ({"*": ["*"]}, {"a": ["publish"]}, {"a": ["publish"]}),
        ({"a": ["publish", "history"]}, {"*": ["history"]}, {"a": ["history"]}),
        ({"a": ["publish"]}, {"a": ["*"]}, {"a": ["publish"]}),
        ({"a:*": ["publish"], "a:1": ["history"]}, {"a:1": ["*"]}, {"a:1": ["history", "publish"]}),
        ({"a:*": ["publish"]}, {"a:b:*": ["publish"]}, {"a:b:*": ["publish"]}),
    ],
)
def test_a_request_is_narrowed_to_what_both_allow(
    ours: dict[str, list[str]], wanted: dict[str, list[str]], both: dict[str, list[str]]
) -> None:
    """By resource, the narrower of two patterns, and by operation."""
    narrowed = Capability.parse(json.dumps(ours)).narrowed_to(Capability.parse(json.dumps(wanted)))

    assert {name: sorted(granted) for name, granted in narrowed.operations.items()} == both
    assert json.loads(narrowed.text) == both or narrowed.text == json.dumps(wanted)


@pytest.mark.parametrize("wanted", ['{"b":["publish"]}', '{"a":["history"]}'])
def test_nothing_in_common_is_40160(wanted: str) -> None:
    with pytest.raises(AblyError) as raised:
        Capability.parse('{"a":["publish"]}').narrowed_to(Capability.parse(wanted))

    assert raised.value.code == 40160


def test_a_capability_that_is_granted_whole_keeps_its_text() -> None:
    """Its order and spaces stay, because clients compare it with what they asked for."""
    text = '{"b": ["subscribe","publish"],  "a": ["history"]}'

    assert Capability.parse('{"*":["*"]}').narrowed_to(Capability.parse(text)).text == text
