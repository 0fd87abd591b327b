"""Event ids, and events as read from a log."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from api.events.event import MAX_PART, Event, EventId
from api.problems import InvalidEventId
from tests.support.events import TOPIC, event, event_ids, json_values

LAST_MS = 253_402_300_799_999  # the last millisecond of the year 9999


@given(event_ids)
def test_an_id_is_read_as_it_is_written(event_id: EventId):
    """This holds for all ids that Redis can have."""
    assert EventId.parse(str(event_id)) == event_id


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "-",
        "1-",
        "-1",
        "1-2-3",
        "+1-0",
        "1- 0",
        "1-0\n",
        "a-0",
        "*",
        "$",
        "٣-0",
        f"{MAX_PART + 1}-0",
        f"0-{MAX_PART + 1}",
        "9" * 21 + "-0",
    ],
)
def test_what_is_no_id_is_refused(text: str):
    """The error is our own, so the answer is a 400."""
    with pytest.raises(InvalidEventId):
        EventId.parse(text)


@given(event_ids, event_ids)
def test_ids_are_ordered_by_time_then_counter(one: EventId, other: EventId):
    """As Redis orders the entries of a stream."""
    assert (one < other) == ((one.ms, one.seq) < (other.ms, other.seq))


@given(event_ids)
@example(EventId(5, 0))
@example(EventId(5, 1))
def test_the_previous_id_is_the_greatest_below(event_id: EventId):
    """No id fits between them, across milliseconds as well."""
    if event_id == EventId(0, 0):
        return
    previous = event_id.previous()

    span = MAX_PART + 1
    assert event_id.ms * span + event_id.seq - (previous.ms * span + previous.seq) == 1


def test_nothing_is_before_the_first_id():
    """To read after it is to read from the start."""
    assert EventId(0, 0).previous() == EventId(0, 0)


@given(st.integers(0, LAST_MS))
@example(LAST_MS)
def test_time_is_the_id_to_the_millisecond(ms: int):
    """RFC 3339 in UTC, cut off and never rounded."""
    text = EventId(ms, 7).time

    moment = datetime.fromisoformat(text)
    assert (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1) == ms
    assert text.endswith("Z")
    assert len(text) == len("2026-11-20T12:00:00.000Z")


@given(st.integers(LAST_MS + 1, MAX_PART))
def test_an_id_beyond_all_times_still_has_a_time(ms: int):
    """A log may be closed by the highest id there is; that must not break its readers."""
    assert EventId(ms, 0).time == "9999-12-31T23:59:59.999Z"


@given(st.sampled_from(["tick", "a.b-c_d"]), json_values)
def test_an_event_carries_what_was_stored(kind: str, data: Any):
    """Its JSON form has exactly id, topic, type, time and data."""
    one = event(1_763_650_000_000, 3, kind=kind, data=data)

    assert json.loads(one.body) == {
        "id": "1763650000000-3",
        "topic": TOPIC,
        "type": kind,
        "time": "2025-11-20T14:46:40.000Z",
        "data": data,
    }
    assert json.loads(one.data) == data


def test_an_event_without_data_has_null():
    """An event that is only `{type}` is a whole event."""
    one = Event.of(EventId(1, 0), TOPIC, '{"type":"tick"}')

    assert json.loads(one.body)["data"] is None


@given(json_values, st.sampled_from(["\r", "\n", "\r\n", " \n\n "]))
def test_no_line_break_between_tokens_survives(data: Any, space: str):
    """It is legal in JSON, but would end a line of SSE."""
    spaced = json.dumps(data, indent=space)

    one = Event.of(EventId(1, 0), TOPIC, f'{{{space}"type":"t",{space}"data":{spaced}{space}}}')

    assert b"\n" not in one.body
    assert b"\r" not in one.body
    assert json.loads(one.data) == data


@pytest.mark.parametrize(
    "stored", ["", "x", "[]", "null", "{}", '{"type":1}', '{"type":"t","data":']
)
def test_what_we_never_write_is_told_apart(stored: str):
    """Other programs may write to the same stream."""
    with pytest.raises(msgspec.DecodeError):
        Event.of(EventId(1, 0), TOPIC, stored)
