"""Frames as clients read them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.events.delivery import sse
from api.events.event import Event, EventId
from api.events.reasons import CloseReason, ResetReason
from api.events.topic import TopicName
from tests.support.events import TOPIC, event, json_values
from tests.support.sse_parser import Frame, SseParser

CURSOR = b"AQEabc_-"
NAMES = [TopicName("public:a"), TopicName("user:1:b")]


def read(raw: bytes, cuts: list[int] | None = None) -> list[Frame]:
    """What a client makes of `raw`, in pieces that end at `cuts`."""
    parser = SseParser()
    ends = sorted({min(cut, len(raw)) for cut in cuts or []} | {len(raw)})
    starts = [0, *ends]
    return [
        frame
        for start, end in zip(starts, ends, strict=False)
        for frame in parser.feed(raw[start:end])
    ]


def lines(raw: bytes) -> list[str]:
    return raw.decode().split("\n")


@given(st.lists(json_values, min_size=1, max_size=4), st.lists(st.integers(0, 2000), max_size=9))
def test_events_come_through_in_any_pieces(values: list[Any], cuts: list[int]):
    """Whatever the data is, and wherever the bytes were split."""
    events = [event(ms, data=value) for ms, value in enumerate(values)]
    raw = b"".join(sse.event_frame(one, CURSOR, named=True) for one in events)

    frames = read(raw, cuts)

    assert [json.loads(frame.data)["data"] for frame in frames] == values
    assert {(frame.event, frame.id) for frame in frames} == {("tick", CURSOR.decode())}


@given(json_values, st.sampled_from(["\r", "\n", "\r\n"]))
def test_an_event_is_one_data_line_whatever_was_stored(value: Any, space: str):
    """The stored text may have line breaks between its tokens."""
    stored = json.dumps({"type": "tick", "data": value}, indent=space)

    raw = sse.event_frame(Event.of(EventId(1, 0), TOPIC, stored), CURSOR, named=True)

    assert b"\r" not in raw
    assert raw.count(b"\n") == 4
    assert json.loads(read(raw)[0].data)["data"] == value


@pytest.mark.parametrize("named", [True, False])
def test_the_id_comes_after_the_data(named: bool):
    """A client that keeps the id early can lose an event only within one write."""
    raw = sse.event_frame(event(1), CURSOR, named=named)

    kinds = [line.partition(":")[0] for line in lines(raw)]
    assert kinds == ["event"] * named + ["data", "id", "", ""]


def test_without_names_every_frame_is_a_message():
    """A bare `onmessage` sees events and control events alike."""
    frames = read(
        sse.event_frame(event(1), CURSOR, named=False)
        + sse.connected(NAMES, cursor=CURSOR, time="T", keep_alive_s=15, named=False)
        + sse.control_frame("reset", {}, cursor=CURSOR, named=False)
        + sse.bye(CloseReason.ROTATE, 2000, cursor=None, named=False)
    )

    assert [frame.event for frame in frames] == ["message"] * 4
    types = [json.loads(frame.data)["type"] for frame in frames]
    assert types == ["tick", "connected", "reset", "bye"]


def test_connected_tells_where_the_stream_starts():
    """Its cursor is also its id, so a stream cut before its first event resumes."""
    (frame,) = read(sse.connected(NAMES, cursor=CURSOR, time="T", keep_alive_s=15, named=True))

    assert frame == Frame("connected", frame.data, CURSOR.decode())
    assert json.loads(frame.data) == {
        "type": "connected",
        "topics": NAMES,
        "cursor": CURSOR.decode(),
        "time": "T",
        "keep_alive_s": 15,
    }


@pytest.mark.parametrize("reason", list(ResetReason))
def test_reset_names_the_topics_and_where_to_fetch_them(reason: ResetReason):
    """The path needs no quoting, as topics are plain."""
    data = sse.reset_data(NAMES, reason)

    assert data == {
        "topics": ["public:a", "user:1:b"],
        "reason": reason.value,
        "refetch": "/api/events?topic=public:a&topic=user:1:b&history=100",
    }


@pytest.mark.parametrize("reason", [one for one in CloseReason if one is not CloseReason.GONE])
def test_bye_tells_why_and_when_to_come_back(reason: CloseReason):
    """Once as `retry:` for EventSource and once in the data for other clients."""
    parser = SseParser("before")

    (frame,) = parser.feed(sse.bye(reason, 2345, cursor=CURSOR, named=True))

    assert json.loads(frame.data) == {"type": "bye", "reason": reason.value, "retry_ms": 2345}
    assert (frame.event, frame.id, parser.retry_ms) == ("bye", CURSOR.decode(), 2345)


def test_bye_without_a_cursor_keeps_the_last_id():
    """For a reader that was not sent all that the cursor stands behind."""
    parser = SseParser("before")

    (frame,) = parser.feed(sse.bye(CloseReason.OVERFLOW, 1000, cursor=None, named=True))

    assert frame.id == "before"


@pytest.mark.parametrize(
    ("raw", "retry_ms"),
    [(sse.opening(1500), 1500), (sse.come_back(3000, "draining"), 3000), (sse.KEEP_ALIVE, None)],
)
def test_what_is_no_event_dispatches_none(raw: bytes, retry_ms: int | None):
    """Comments and a lone `retry:` call no handler and leave the last id as it is."""
    parser = SseParser("before")

    assert parser.feed(raw) == []
    assert (parser.last_event_id, parser.retry_ms, parser.comments) == ("before", retry_ms, 1)


def test_every_frame_ends_with_a_blank_line():
    """A client dispatches at the blank line and not before."""
    for raw in [
        sse.KEEP_ALIVE,
        sse.opening(1000),
        sse.come_back(1000, "overloaded"),
        sse.event_frame(event(1), CURSOR, named=True),
        sse.bye(CloseReason.ROTATE, 1000, cursor=None, named=False),
    ]:
        assert re.search(rb"[^\n]\n\n$", raw)
        assert raw.count(b"\n\n") == 1
