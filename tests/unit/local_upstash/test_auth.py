"""Tokens come in a header or in the query, and open what they open."""

from __future__ import annotations

import pytest

from infra.local.upstash.auth import Access, Tokens, presented_token

TOKENS = Tokens(full="full", readonly="reads")


@pytest.mark.parametrize(
    ("authorization", "query", "token"),
    [
        (b"Bearer full", b"", b"full"),
        (b"bearer  full ", b"", b"full"),
        (None, b"EX=1&_token=a%2Bb", b"a+b"),
        (b"Bearer header", b"_token=query", b"header"),
        (b"Basic x", b"_token=query", b"query"),
        (None, b"token=x", b""),
        (None, b"_token=", b""),
    ],
)
def test_the_header_wins_over_the_query(
    authorization: bytes | None, query: bytes, token: bytes
) -> None:
    """Without either there is no token."""
    assert presented_token(authorization, query) == token


@pytest.mark.parametrize(
    ("presented", "access"),
    [
        (b"full", Access.FULL),
        (b"reads", Access.READONLY),
        (b"", None),
        (b"ful", None),
        (b"\xff", None),
    ],
)
def test_a_token_opens_what_it_was_made_for(presented: bytes, access: Access | None) -> None:
    """No other token is accepted."""
    assert TOKENS.access_of(presented) is access
