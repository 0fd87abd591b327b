"""Cursors: exact, opaque, and safe to read from anybody."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from contextlib import suppress

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from api.events.cursor import MAX_CHARS, MAX_TOPICS, Cursor, CursorWriter, topic_hash
from api.events.event import MAX_PART, EventId
from api.events.topic import TopicName
from api.problems import InvalidCursor
from tests.support.events import event_ids, positions, topic_names

Positions = dict[TopicName, EventId]


def text_of(stands: Positions) -> str:
    return CursorWriter(stands).text().decode()


def packed(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def unpacked(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@given(positions, topic_names)
def test_a_cursor_gives_back_every_position(stands: Positions, other: TopicName):
    """It gives none for a topic that it does not name."""
    cursor = Cursor.parse(text_of(stands))

    assert {topic: cursor.position(topic) for topic in stands} == stands
    assert other in stands or cursor.position(other) is None


@given(positions)
def test_a_cursor_needs_no_quoting_in_a_url(stands: Positions):
    """Nor does it in a header or in an SSE line."""
    text = text_of(stands)

    assert text.replace("-", "").replace("_", "").isalnum()
    assert text.isascii()


def test_the_longest_cursor_is_accepted():
    """50 topics with the largest ids are within the limit."""
    stands = {TopicName(f"t:{n}"): EventId(MAX_PART, MAX_PART) for n in range(MAX_TOPICS)}

    assert Cursor.parse(text_of(stands)).position("t:49") == EventId(MAX_PART, MAX_PART)


def test_a_cursor_takes_about_22_characters_a_topic():
    """50 topics must fit in a header of a few kilobytes, also when sent in a query."""
    stands = {TopicName(f"user:{n}:inbox"): EventId(1_763_650_000_000, 3) for n in range(50)}

    assert len(text_of(stands)) / 50 < 23


@given(positions, st.data())
def test_a_cut_cursor_is_refused(stands: Positions, data: st.DataObject):
    """A cursor without its end has fewer bytes than its first bytes announce."""
    assume(stands)
    raw = unpacked(text_of(stands))
    length = data.draw(st.integers(0, len(raw) - 1))

    with pytest.raises(InvalidCursor):
        Cursor.parse(packed(raw[:length]))


@given(positions, st.binary(min_size=1, max_size=8))
def test_a_cursor_with_something_behind_it_is_refused(stands: Positions, more: bytes):
    """We have not written what was appended."""
    with pytest.raises(InvalidCursor):
        Cursor.parse(packed(unpacked(text_of(stands)) + more))


@given(positions, st.data())
def test_a_flipped_bit_is_refused_or_gives_other_positions(stands: Positions, data: st.DataObject):
    """It never gives the same cursor, and never another kind of error."""
    raw = bytearray(unpacked(text_of(stands)))
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << bit % 8

    with suppress(InvalidCursor):
        assert Cursor.parse(packed(bytes(raw))) != Cursor.parse(text_of(stands))


@given(st.text(max_size=40) | st.text("ABab01-_=", max_size=40) | st.binary().map(packed))
def test_any_text_is_a_cursor_or_refused(text: str):
    """Clients may send anything: the worst is a 400."""
    with suppress(InvalidCursor):
        assert all(len(name) == 8 for name in Cursor.parse(text).positions)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x01",
        b"\x02\x00",  # another version
        b"\x01\x33" + b"".join(n.to_bytes(8, "big") + b"\1\1" for n in range(51)),  # 51 topics
        b"\x01\x02" + (b"12345678" + b"\1\1") * 2,  # a topic twice
        b"\x01\x01" + b"12345678" + b"\xff" * 9 + b"\x02" + b"\1",  # above 2**64
        b"\x01\x01" + b"12345678" + b"\x80" * 10 + b"\1" + b"\1",  # an endless number
        b"\x01\x01" + b"12345678" + b"\1\x80",  # a number that goes on behind the end
    ],
)
def test_a_malformed_cursor_is_refused(raw: bytes):
    """A careless parser would accept each of these."""
    with pytest.raises(InvalidCursor):
        Cursor.parse(packed(raw))


def test_a_cursor_beyond_the_limit_is_not_even_decoded():
    """The limit is on characters, so that decoding costs little."""
    with pytest.raises(InvalidCursor):
        Cursor.parse("A" * (MAX_CHARS + 1))


@given(positions, st.lists(st.tuples(topic_names, event_ids), max_size=10))
def test_a_writer_that_moved_equals_a_fresh_one(
    stands: Positions, moves: list[tuple[TopicName, EventId]]
):
    """Each move encodes only one topic, and the whole cursor stays right."""
    writer = CursorWriter(stands)
    for topic, position in moves:
        writer.move(topic, position)
    stands = stands | dict(moves)
    assume(len(stands) <= MAX_TOPICS)

    assert Cursor.parse(writer.text().decode()) == Cursor.parse(text_of(stands))


@given(positions, st.randoms())
def test_equal_positions_have_equal_texts(stands: Positions, order: object):
    """The text is an ETag: it must not depend on the order of topics."""
    items = list(stands.items())
    order.shuffle(items)  # type: ignore[attr-defined]

    assert text_of(dict(items)) == text_of(stands)


@given(st.dictionaries(topic_names, event_ids, min_size=2, max_size=10))
def test_a_cursor_serves_another_set_of_topics(stands: Positions):
    """It is right for the topics that stay, and has no position on new ones."""
    left, *stays = stands
    cursor = Cursor.parse(text_of({topic: stands[topic] for topic in stays}))

    assert all(cursor.position(topic) == stands[topic] for topic in stays)
    assert cursor.position(left) is None


@settings(max_examples=10)
@given(st.lists(topic_names, min_size=50, max_size=50, unique=True))
def test_topics_have_different_hashes(names: list[TopicName]):
    """With eight bytes no two topics of one stream will have the same hash."""
    assert len({topic_hash(name) for name in names}) == len(names)
