"""What several lines of one header mean."""

from __future__ import annotations

import pytest

from api.http.front_door import combined

Lines = list[tuple[bytes, bytes]]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], []),
        ([(b"accept", b"a"), (b"host", b"h")], [(b"accept", b"a"), (b"host", b"h")]),
        (
            [(b"prefer", b"a"), (b"host", b"h"), (b"Prefer", b"b")],
            [(b"prefer", b"a, b"), (b"host", b"h")],
        ),
        ([(b"cookie", b"a=1"), (b"cookie", b"b=2")], [(b"cookie", b"a=1; b=2")]),
        ([(b"host", b" h\t "), (b"a", b" \t")], [(b"host", b"h"), (b"a", b"")]),
        ([(b"authorization", b"Bearer a")] * 2, [(b"authorization", b"Bearer a, Bearer a")]),
    ],
)
def test_lines_of_one_header_are_one_list_in_their_order(lines: Lines, expected: Lines) -> None:
    """As RFC 9110 says of all headers; what may come only once becomes a value that is none."""
    assert combined(lines) == expected
