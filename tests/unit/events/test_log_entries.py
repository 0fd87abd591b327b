"""Which part of a log is asked for."""

from __future__ import annotations

import pytest

from api.events.event import MAX_PART, EventId
from api.events.log.entries import Span


def at(ms: int, seq: int = 0) -> EventId:
    return EventId(ms, seq)


def test_bounds_are_exclusive_and_absent_ones_are_open():
    """The upper bound comes first, as XREVRANGE takes them."""
    assert Span().bounds == ("+", "-")
    assert Span(at(7), at(3, 1)).bounds == ("(7-0", "(3-1")
    assert Span(at(7), at(3)).below(at(5)).bounds == ("(5-0", "(3-0")


@pytest.mark.parametrize(
    ("span", "is_empty"),
    [
        (Span(), False),
        (Span(after=at(3)), False),
        (Span(at(0, 1)), False),
        (Span(at(0, 0)), True),
        (Span(at(3, 2), at(3, 0)), False),
        (Span(at(3, 1), at(3, 0)), True),
        (Span(at(3, 0), at(3, 0)), True),
        (Span(at(2, 0), at(3, 0)), True),
        (Span(at(4, 0), at(3, MAX_PART)), True),
    ],
)
def test_where_nothing_can_be_nothing_is_asked(span: Span, is_empty: bool):
    """Redis refuses to look below its first id, and a command would be billed."""
    assert span.is_empty is is_empty


def test_the_next_id_is_the_smallest_above():
    """This holds behind the last id of a millisecond too."""
    assert at(3).next() == at(3, 1)
    assert at(3, MAX_PART).next() == at(4)
