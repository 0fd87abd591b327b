"""Bodies are JSON of bounded depth; everything else is refused in our own words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.http.bodies import MAX_NESTING, parse
from api.problems import BadRequest


def nested(depth: int, inside: bytes = b"") -> bytes:
    return b"[" * depth + inside + b"]" * depth


@pytest.mark.parametrize("inside", [b"", b"1", b"{}"])
def test_nesting_has_a_limit(inside: bytes) -> None:
    within = MAX_NESTING - (inside == b"{}")

    assert parse(nested(within, inside))
    with pytest.raises(BadRequest):
        parse(nested(within + 1, inside))


def test_many_brackets_side_by_side_are_fine() -> None:
    assert len(parse(b"[" + b",".join([b'{"a":[]}'] * 1000) + b"]")) == 1000


def test_brackets_in_text_do_not_count() -> None:
    assert parse(b'"' + b"[" * 1000 + b'"') == "[" * 1000


@given(st.binary(max_size=50) | st.text(alphabet='[]{}",:0e.\\u', max_size=50).map(str.encode))
def test_any_bytes_are_a_value_or_a_bad_request(raw: bytes) -> None:
    try:
        parse(raw)
    except BadRequest as error:
        assert error.detail
