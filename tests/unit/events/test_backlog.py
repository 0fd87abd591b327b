"""The backlog that the slow readers of a cohort share."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.events.delivery.backlog import Backlog, Overrun

chunks = st.lists(st.binary(min_size=1, max_size=20), max_size=30)


def filled(some: list[bytes], max_bytes: int = 10_000) -> Backlog:
    backlog = Backlog(max_bytes)
    for chunk in some:
        backlog.append(chunk)
    return backlog


@given(chunks, st.integers(1, 50))
def test_taking_again_and_again_brings_everything_once(some: list[bytes], most: int):
    """In order; a piece is larger than asked only if it is one chunk."""
    backlog = filled(some)
    number, taken = 0, []
    while number < backlog.next:
        piece, after = backlog.take(number, most)
        assert len(piece) <= most or after == number + 1
        taken.append(piece)
        number = after

    assert b"".join(taken) == b"".join(some)


@given(chunks, st.integers(0, 100))
def test_trimming_keeps_the_newest_within_the_limit(some: list[bytes], most: int):
    """It keeps as many of them as fit."""
    backlog = filled(some, most)
    backlog.trim()
    kept = some[backlog.first :]

    assert list(backlog.since(backlog.first)) == kept
    assert sum(map(len, kept)) <= most
    assert not backlog.first or sum(map(len, some[backlog.first - 1 :])) > most


def test_numbers_go_on_after_clearing():
    """A reader's number must never mean another chunk."""
    backlog = filled([b"a", b"b"])
    backlog.clear()
    backlog.append(b"c")

    assert (backlog.first, backlog.next) == (2, 3)
    assert backlog.take(2, 10) == (b"c", 3)


def test_clearing_forgets_the_bytes_too():
    """Else a backlog that was full once would overflow for ever."""
    backlog = filled([b"x" * 90], 100)
    backlog.clear()
    backlog.append(b"y" * 90)
    backlog.trim()

    assert backlog.take(1, 100) == (b"y" * 90, 2)


def test_a_chunk_that_is_gone_is_an_overrun():
    """The reader must not get the next one as if nothing were missing."""
    backlog = filled([b"a" * 60, b"b" * 60], 100)
    backlog.trim()

    with pytest.raises(Overrun):
        backlog.take(0, 10)


def test_nothing_is_there_behind_the_last():
    """Taking gives no bytes, and the number stays the same."""
    assert filled([b"a"]).take(1, 10) == (b"", 1)
