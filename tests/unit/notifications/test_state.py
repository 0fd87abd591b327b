"""What a user's hash says of a notification."""

from __future__ import annotations

import pytest

from api.events import Event, EventId
from api.notifications.state import ReadState
from api.notifications.topics import BROADCAST, parse_name, personal
from api.problems import InvalidEventId

OWN = personal("alice")
STATE = ReadState({"own": "5-1", "own:7-0": "read", "all:3-0": "deleted", "all": "2-0"})


def event(topic: str, ms: int, seq: int = 0) -> Event:
    stored = '{"type":"notification","data":null}'
    return Event.of(EventId(ms, seq), OWN if topic == "own" else BROADCAST, stored)


@pytest.mark.parametrize(
    ("topic", "ms", "seq", "is_read", "is_deleted"),
    [
        ("own", 5, 0, True, False),
        ("own", 5, 1, True, False),
        ("own", 5, 2, False, False),
        ("own", 7, 0, True, False),
        ("own", 3, 0, True, False),
        ("all", 2, 0, True, False),
        ("all", 3, 0, True, True),
        ("all", 5, 0, False, False),
        ("all", 7, 0, False, False),
    ],
)
def test_a_mark_and_single_ones_are_of_one_topic(
    topic: str, ms: int, seq: int, is_read: bool, is_deleted: bool
):
    """What was read of the one says nothing of the other, whatever the ids."""
    one = event(topic, ms, seq)

    assert (STATE.is_read(one), STATE.is_deleted(one)) == (is_read, is_deleted)


def test_without_a_state_nothing_is_read():
    """A user who was never here."""
    nobody = ReadState({})

    assert not nobody.is_read(event("all", 1))
    assert nobody.up_to(OWN) == EventId(0, 0)


def test_a_name_is_a_topic_and_an_id():
    """As list and stream show them."""
    assert parse_name("public:notifications/7-1") == ("public:notifications", EventId(7, 1))
    with pytest.raises(InvalidEventId):
        parse_name("public:notifications")
