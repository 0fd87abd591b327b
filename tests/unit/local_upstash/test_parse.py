"""Bodies and paths become commands as the REST documentation says."""

from __future__ import annotations

import pytest

from infra.local.upstash.parse import ParseError, parse_batch, parse_command, parse_path


@pytest.mark.parametrize(
    ("literal", "argument"),
    [
        ("1.0", b"1.0"),
        ("1e3", b"1e3"),
        ("-0", b"-0"),
        ("123456789012345678901234567890", b"123456789012345678901234567890"),
        ("0.1000", b"0.1000"),
        ("true", b"true"),
        ("false", b"false"),
        ("null", b"null"),
        ('"\\ud83d\\ude00"', "😀".encode()),
        ('"\\ud83d"', "\N{REPLACEMENT CHARACTER}".encode()),
    ],
)
def test_literals_reach_redis_as_they_were_written(literal: str, argument: bytes) -> None:
    """No number is rounded or reformatted on the way."""
    assert parse_command(f'["SET", "k", {literal}]'.encode()) == [b"SET", b"k", argument]


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b'"PING"', b"[", b'["SET", ["k"]]', b'["SET", {"a": 1}]', b"[NaN]", b"\xff"],
)
def test_a_body_that_is_no_flat_array_is_refused(body: bytes) -> None:
    """Anything else is a parse error, never a crash."""
    with pytest.raises(ParseError, match=r"^ERR failed to parse command$"):
        parse_command(body)


@pytest.mark.parametrize("body", [b"[]", b'[""]'])
def test_a_command_without_a_name_is_empty(body: bytes) -> None:
    """There is nothing to run."""
    with pytest.raises(ParseError, match=r"^ERR empty command$"):
        parse_command(body)


def test_deep_nesting_is_a_parse_error() -> None:
    """A hostile body cannot overflow the stack."""
    with pytest.raises(ParseError):
        parse_command(b"[" * 100_000)


def test_a_batch_is_an_array_of_commands() -> None:
    """Mixed literals do not change that."""
    assert parse_batch(b'[["SET","k",1.0],["GET","k"]]') == [[b"SET", b"k", b"1.0"], [b"GET", b"k"]]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"[]", "ERR empty pipeline request"),
        (b"{}", "ERR failed to parse pipeline request"),
        (b'["PING"]', "ERR failed to parse pipeline request"),
        (b"[[]]", "ERR empty command"),
    ],
)
def test_a_malformed_batch_names_its_fault(body: bytes, text: str) -> None:
    """The texts are the service's."""
    with pytest.raises(ParseError, match=f"^{text}$"):
        parse_batch(body)


@pytest.mark.parametrize(
    ("path", "query", "body", "command"),
    [
        (b"/set/foo/bar/EX/100", b"", b"", [b"set", b"foo", b"bar", b"EX", b"100"]),
        (b"/set/foo", b"EX=100", b"body", [b"set", b"foo", b"body", b"EX", b"100"]),
        (b"/set/foo/v", b"NX", b"", [b"set", b"foo", b"v", b"NX"]),
        (b"/get/foo", b"_token=secret", b"", [b"get", b"foo"]),
        (b"/set/k", b"EX=5&_token=t", b"\x00\xff", [b"set", b"k", b"\x00\xff", b"EX", b"5"]),
        (b"/get/a%2Fb%20c%ff", b"", b"", [b"get", b"a/b c\xff"]),
        (b"/set/a+b/c", b"GET=x+y%2B", b"", [b"set", b"a+b", b"c", b"GET", b"x y+"]),
        (b"/set/k//EX/1", b"", b"", [b"set", b"k", b"", b"EX", b"1"]),
        (b"/ping/", b"", b"", [b"ping"]),
    ],
)
def test_path_body_and_query_make_one_command(
    path: bytes, query: bytes, body: bytes, command: list[bytes]
) -> None:
    """Path first, then the body, then the query's pairs; the token is never an argument."""
    assert parse_path(path, query, body) == command


def test_a_path_without_a_command_is_empty() -> None:
    """`GET //` asks for nothing."""
    with pytest.raises(ParseError, match=r"^ERR empty command$"):
        parse_path(b"//", b"", b"")
