"""Replies become bodies in the format that was asked for."""

from __future__ import annotations

import json

import pytest

from infra.local.upstash.encode import (
    Format,
    FormatError,
    choose_format,
    encode_batch,
    encode_error,
    encode_single,
)
from infra.local.upstash.resp import ErrorReply, Reply, Status

NESTED: Reply = [b"text", None, 7, [b"deep", Status(b"OK")], ErrorReply("ERR inner")]


def test_plain_json_keeps_shapes_and_turns_bytes_into_text() -> None:
    """Null, integers, strings and arrays come through."""
    assert json.loads(encode_single(NESTED, Format.JSON)) == {
        "result": ["text", None, 7, ["deep", "OK"], "ERR inner"]
    }


def test_bytes_that_are_not_utf8_become_replacement_characters() -> None:
    """The plain format cannot carry them."""
    assert json.loads(encode_single(b"a\xffb", Format.JSON)) == {"result": "a\ufffdb"}


def test_base64_covers_nested_strings_but_not_ok_numbers_or_errors() -> None:
    """The exceptions are documented."""
    assert json.loads(encode_single(NESTED, Format.BASE64)) == {
        "result": ["dGV4dA==", None, 7, ["ZGVlcA==", "OK"], "ERR inner"]
    }
    assert json.loads(encode_single(Status(b"PONG"), Format.BASE64)) == {"result": "UE9ORw=="}
    assert json.loads(encode_single(ErrorReply("ERR x"), Format.BASE64)) == {"error": "ERR x"}


def test_a_batch_holds_results_and_errors_side_by_side() -> None:
    """One envelope per command."""
    body = encode_batch([Status(b"OK"), ErrorReply("ERR x"), None], Format.JSON)

    assert json.loads(body) == [{"result": "OK"}, {"error": "ERR x"}, {"result": None}]


def test_resp2_is_what_the_engine_would_have_sent() -> None:
    """Statuses stay statuses; a batch is replies in one array."""
    assert encode_single(Status(b"OK"), Format.RESP2) == b"+OK\r\n"
    assert encode_batch([None, 1], Format.RESP2) == b"*2\r\n$-1\r\n:1\r\n"


def test_an_error_body_is_one_object() -> None:
    """Refusals have the shape of failed commands."""
    assert json.loads(encode_error('ERR "quoted"')) == {"error": 'ERR "quoted"'}


@pytest.mark.parametrize(
    ("encoding", "response_format", "chosen"),
    [
        (b"", b"", Format.JSON),
        (b"base64", b"", Format.BASE64),
        (b"base64", b"json", Format.BASE64),
        (b"", b"resp2", Format.RESP2),
    ],
)
def test_the_headers_choose_the_format(
    encoding: bytes, response_format: bytes, chosen: Format
) -> None:
    """JSON unless something else is asked for."""
    assert choose_format(encoding, response_format, has_resp2=True) is chosen


@pytest.mark.parametrize(
    ("encoding", "response_format", "has_resp2"),
    [(b"base64", b"resp2", True), (b"", b"xml", True), (b"", b"resp2", False)],
)
def test_combinations_that_make_no_sense_are_refused(
    encoding: bytes, response_format: bytes, *, has_resp2: bool
) -> None:
    """base64 with resp2, an unknown format, resp2 for a transaction."""
    with pytest.raises(FormatError, match=r"^ERR "):
        choose_format(encoding, response_format, has_resp2=has_resp2)
