"""What an upstream sends is read by the WHATWG rules, and never held without bound."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.relay.decoder import MAX_SKIPPED, Decoder, TooLongError, UpstreamEvent

LIMIT = 100


def read(text: bytes, decoder: Decoder | None = None) -> list[UpstreamEvent]:
    return (decoder or Decoder(LIMIT)).feed(text)


def event(data: str | None, kind: str = "message", own_id: str | None = None) -> UpstreamEvent:
    return UpstreamEvent(kind if data is not None else "", data, own_id)


@pytest.mark.parametrize(
    ("text", "events"),
    [
        (b"data: a\n\n", [event("a")]),
        (b"data:a\r\n\r\n", [event("a")]),
        (b"data: a\r\r", [event("a")]),
        (b"\xef\xbb\xbfdata: a\n\n", [event("a")]),
        (b"data\n\n", [event("")]),
        (b"data:  a\ndata\ndata: b\n\n", [event(" a\n\nb")]),
        (b"event: x\ndata: a\n\n", [event("a", "x")]),
        (b"event: x\n\ndata: a\n\n", [event("a")]),
        (b": a comment\n\nother: field\n\n", []),
        (b"id: 1\ndata: a\n\ndata: b\n\n", [event("a", own_id="1"), event("b")]),
        (b"id: 1\n\n", []),
        (b"id\ndata: a\n\n", [event("a", own_id="")]),
        (b"data: \xff\n\n", [event("\ufffd")]),
        (b"data: a\n", []),
        (b"data: a", []),
    ],
)
def test_blocks_are_read_by_the_rules(text: bytes, events: list[UpstreamEvent]):
    """Each kind of line end, a byte order mark, fields without values, unknown fields."""
    assert read(text) == events


@given(st.data())
def test_where_the_bytes_are_split_makes_no_difference(data: st.DataObject):
    """Between any two bytes, those of a line end or of one letter too."""
    text = "id: 1\r\ndata: ä€\r\n\r\nevent: x\rdata: b\r\rretry: 5\ndata: c\n\n".encode()
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)))))
    decoder, events = Decoder(LIMIT), []
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        events += decoder.feed(text[start:end])

    assert events == read(text)
    assert (decoder.last_id, decoder.retry_ms, decoder.is_mid_event) == ("1", 5, False)


def test_an_id_counts_when_its_event_is_complete():
    """A cut before the empty line must not skip the event."""
    decoder = Decoder(LIMIT, last_id="1")
    decoder.feed(b"id: 2\ndata: a\n")
    before = decoder.last_id
    decoder.feed(b"\n")

    assert (before, decoder.last_id) == ("1", "2")


@pytest.mark.parametrize(
    "bad",
    [b"a\x00b", b"a\x1bb", b"x" * 1025, "a\u2028b".encode(), b" a", b"a ", b" ", b"\ta", b"a\t"],
)
def test_an_id_that_fits_into_no_header_is_no_position(bad: bytes):
    """It would have to be sent as one."""
    decoder = Decoder(5000, last_id="1")
    decoder.feed(b"id: " + bad + b"\ndata: a\n\n")

    assert decoder.last_id == "1"


@given(st.text(max_size=40))
def test_an_id_that_is_kept_can_be_sent(text: str):
    """By the rules of the library that writes the request, which raises for a bad header."""
    decoder = Decoder(5000, last_id="1")
    decoder.feed(b"id: " + text.encode(errors="replace") + b"\ndata: a\n\n")

    headers = [(b"Host", b"h"), (b"Last-Event-ID", decoder.last_id.encode())]
    h11.Request(method="GET", target="/", headers=headers)


@pytest.mark.parametrize("bad", ["soon", "-1", "1.5", "", "٣", "9" * 12])
def test_a_retry_that_is_no_number_is_none(bad: str):
    """It is foreign text."""
    decoder = Decoder(LIMIT)
    decoder.feed(f"retry: {bad}\n\n".encode())

    assert decoder.retry_ms is None


@pytest.mark.parametrize("text", [b"d", b"data: a", b"data: a\n", b"id: 1\n", b"data: a\n\nev"])
def test_an_unfinished_event_is_noticed(text: bytes):
    """So that a reader can be told that the upstream was cut."""
    decoder = Decoder(LIMIT)
    decoder.feed(text)

    assert decoder.is_mid_event


@pytest.mark.parametrize("text", [b"", b": comment\n", b"data: a\n\n", b"\n\n"])
def test_an_end_between_events_is_none(text: bytes):
    """Upstreams end their streams now and then."""
    decoder = Decoder(LIMIT)
    decoder.feed(text)

    assert not decoder.is_mid_event


def test_an_event_that_is_too_large_comes_without_its_data():
    """By one line or by many, and the next one is read as usual."""
    one_line = b"id: 1\ndata: " + b"x" * 200 + b"\n\n"
    many = b"id: 2\n" + b"data: xxxxxxxx\n" * 20 + b"\n"

    assert read(one_line + many + b"data: a\n\n") == [
        event(None, own_id="1"),
        event(None, own_id="2"),
        event("a"),
    ]


def test_a_line_that_never_ends_is_given_up():
    """And what is held of it meanwhile stays within the limit."""
    decoder = Decoder(LIMIT)
    with pytest.raises(TooLongError):
        for _ in range(MAX_SKIPPED * LIMIT + 1):
            decoder.feed(b"x")
            assert len(decoder._line) <= LIMIT
