"""The kinds of `{"error": text}`, by its first word, its text and the status."""

from __future__ import annotations

import pytest

from api.upstash import (
    AuthFailed,
    BadGateway,
    NoReply,
    QuotaExceeded,
    Refused,
    ScriptMissing,
    TooLarge,
    Unreachable,
    WrongType,
)
from api.upstash.errors import classify


@pytest.mark.parametrize(
    ("text", "status", "kind"),
    [
        ("WRONGPASS invalid or missing auth token", 401, AuthFailed),
        ("NOPERM this user has no permissions", 400, AuthFailed),
        ("Unauthorized", 401, AuthFailed),
        ("something new", 401, AuthFailed),
        ("NOSCRIPT No matching script.", 400, ScriptMissing),
        ("WRONGTYPE Operation against a key", 400, WrongType),
        ("WRONGTYPE of one item in a pipeline", 200, WrongType),
        ("ERR max request size exceeded. Limit: 1 bytes", 400, TooLarge),
        ("ERR too much", 413, TooLarge),
        ("ERR max requests limit exceeded. Limit: 500000", 400, QuotaExceeded),
        ("ERR max daily request limit exceeded", 400, QuotaExceeded),
        ("slow down", 429, QuotaExceeded),
        ("ERR unknown command", 400, Refused),
        ("EXECABORT Transaction discarded", 400, Refused),
        ("", 500, Refused),
    ],
)
def test_an_answer_has_one_kind(text: str, status: int, kind: type[Refused]):
    """Exactly that class, with the first word and the status kept."""
    error = classify(text, status)

    assert type(error) is kind
    assert (error.kind, error.status) == (text.split(" ", maxsplit=1)[0], status)


def test_an_error_shows_only_its_first_word():
    """The rest may quote a key or a value, and errors end up in logs."""
    assert str(classify("ERR wrong value s3cret", 400)) == "ERR"


@pytest.mark.parametrize(
    ("error", "executed", "transient"),
    [
        (Unreachable(), False, True),
        (NoReply(), None, True),
        (BadGateway(), None, True),
        (classify("WRONGTYPE", 400), False, False),
        (classify("x", 401), False, False),
        (classify("x", 429), False, True),
    ],
)
def test_each_kind_says_whether_it_ran_and_may_pass(
    error: NoReply, executed: bool | None, transient: bool
):
    """Retries are decided by these two and nothing else."""
    assert (error.executed, error.transient) == (executed, transient)
