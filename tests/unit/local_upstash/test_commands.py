"""What the REST API refuses and what a read-only token may run."""

from __future__ import annotations

import pytest

from infra.local.upstash.commands import is_readable, readonly_names, refusal

READONLY = frozenset({"get", "keys", "scan", "xinfo|stream", "eval_ro"})


@pytest.mark.parametrize(
    "line",
    [
        "BLPOP k 0",
        "brpop k 0",
        "WATCH k",
        "MULTI",
        "SUBSCRIBE ch",
        "CONFIG GET *",
        "SHUTDOWN",
        "SELECT 1",
        "SCRIPT KILL",
        "FUNCTION kill",
        "XREAD BLOCK 0 STREAMS s $",
        "xread count 1 block 5 streams s $",
        "XREADGROUP GROUP g c BLOCK 1 STREAMS s >",
    ],
)
def test_what_needs_a_session_or_blocks_is_refused(line: str) -> None:
    """They need a session, which a request over HTTP has not."""
    assert (refusal(line.encode().split()) or "").startswith("ERR ")


@pytest.mark.parametrize(
    "line",
    [
        "PING",
        "SCRIPT LOAD x",
        "SCRIPT",
        "XREAD STREAMS block 0",
        "XREADGROUP GROUP block BLOCK COUNT 1 STREAMS s >",
        "XREAD COUNT",
        "PUBLISH ch x",
    ],
)
def test_a_name_that_reads_like_an_option_is_not_one(line: str) -> None:
    """Streams, groups and consumers may be called anything."""
    assert refusal(line.encode().split()) is None


@pytest.mark.parametrize(
    ("line", "is_allowed"),
    [
        ("GET k", True),
        ("get k", True),
        ("XINFO STREAM s", True),
        ("EVAL_RO s 0", True),
        ("XINFO GROUPS s", False),
        ("SET k v", False),
        ("KEYS *", False),
        ("scan 0", False),
        ("UNHEARD OF", False),
    ],
)
def test_a_readonly_token_runs_what_the_engine_flags_readonly(
    line: str, *, is_allowed: bool
) -> None:
    """SCAN and KEYS read, but see the whole database."""
    assert is_readable(line.encode().split(), READONLY) is is_allowed


def test_the_engines_table_names_commands_and_their_parts() -> None:
    """Flags of subcommands count, not those of their container."""
    part = [b"xinfo|stream", 3, [b"readonly"], 1, 1, 1, [], [], [], []]
    table = [
        [b"get", 2, [b"readonly", b"fast"], 1, 1, 1, [], [], [], []],
        [b"set", -3, [b"write"], 1, 1, 1, [], [], [], []],
        [b"xinfo", -2, [], 0, 0, 0, [], [], [], [part]],
        None,
    ]

    assert readonly_names(table) == {"get", "xinfo|stream"}  # type: ignore[arg-type]
