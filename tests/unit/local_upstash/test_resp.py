"""RESP2 without a socket: what is encoded is decoded, wherever the bytes are split."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.upstash.resp import (
    MORE,
    Decoder,
    ErrorReply,
    ProtocolError,
    Reply,
    Status,
    encode_commands,
    encode_reply,
)

_LINES = st.text(st.characters(codec="ascii", exclude_characters="\r\n"), min_size=1)
REPLIES: st.SearchStrategy[Reply] = st.recursive(
    st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | st.binary()
    | _LINES.map(lambda line: Status(line.encode()))
    | _LINES.map(ErrorReply),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=12,
)


def _decode(pieces: list[bytes]) -> list[Reply]:
    decoder, replies = Decoder(), list[Reply]()
    for piece in pieces:
        decoder.feed(piece)
        while (reply := decoder.pop()) is not MORE:
            replies.append(reply)
    return replies


@given(st.lists(REPLIES, min_size=1, max_size=3), st.integers(1, 7))
def test_replies_survive_any_split(replies: list[Reply], size: int) -> None:
    """Replies may come in any pieces."""
    wire = b"".join(map(encode_reply, replies))

    assert _decode([wire[at : at + size] for at in range(0, len(wire), size)]) == replies


def test_a_status_is_told_from_a_value_that_reads_the_same() -> None:
    """`+OK` and a stored "OK" differ in RESP2, so they differ here."""
    [status, value] = _decode([b"+OK\r\n$2\r\nOK\r\n"])

    assert isinstance(status, Status)
    assert not isinstance(value, Status)


def test_an_error_keeps_its_code_word() -> None:
    """Clients tell errors apart by the first word."""
    assert _decode([b"-ERR no\r\n-WRONGTYPE x\r\n"]) == [
        ErrorReply("ERR no"),
        ErrorReply("WRONGTYPE x"),
    ]


def test_many_replies_do_not_keep_what_was_read() -> None:
    """The buffer is shortened before it is empty."""
    wire = encode_reply(b"x" * 1000) * 200

    assert len(_decode([wire[:150_000], wire[150_000:]])) == 200


def test_bytes_that_are_not_resp2_are_refused() -> None:
    """A connection with other bytes is not read further."""
    with pytest.raises(ProtocolError):
        _decode([b"HTTP/1.1 200 OK\r\n"])


def test_commands_are_arrays_of_bulk_strings() -> None:
    """Arguments are length-prefixed: no content needs escaping."""
    assert encode_commands([[b"SET", b"k", b"a\r\nb"]]) == (
        b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$4\r\na\r\nb\r\n"
    )
