"""The `allow-key-locking` flag disappears before the engine sees it."""

from __future__ import annotations

import pytest

from infra.local.upstash.scripts import ScriptBook, without_key_locking


@pytest.mark.parametrize(
    ("script", "stripped"),
    [
        (b"#!lua flags=allow-key-locking\nreturn 1", b"#!lua\nreturn 1"),
        (
            b"#!lua flags=no-writes,allow-key-locking\nreturn 1",
            b"#!lua flags=no-writes\nreturn 1",
        ),
        (b"#!lua flags=allow-key-locking", b"#!lua"),
        (b"#!lua flags=no-writes\nreturn 1", b"#!lua flags=no-writes\nreturn 1"),
        (b"return 'allow-key-locking'", b"return 'allow-key-locking'"),
        (b"#!lua\nreturn 'allow-key-locking'", b"#!lua\nreturn 'allow-key-locking'"),
    ],
)
def test_only_the_flag_is_taken_out(script: bytes, stripped: bytes) -> None:
    """Other flags and the script itself stay as they are."""
    assert without_key_locking(script) == stripped


def test_commands_that_carry_no_script_pass_unchanged() -> None:
    """Commands that are too short pass too, and the engine refuses them."""
    book = ScriptBook()

    for command in ([b"EVAL"], [b"SCRIPT", b"FLUSH"], [b"SET", b"k", b"v"], [b"SCRIPT"]):
        assert book.rewrite(command) == command
