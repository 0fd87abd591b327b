"""Prints JSON for programs, and text for people without characters that control a terminal."""

import json
from typing import Any

import rich_click as click

REPLACED = "\N{REPLACEMENT CHARACTER}"


def line(value: Any) -> None:
    """Print `value` as one line of ASCII JSON, and flush it."""
    click.echo(json.dumps(value, separators=(",", ":")))


def readable(value: Any) -> str:
    """Return `value` as JSON on one line, with letters of any script as they are."""
    return printable(json.dumps(value, ensure_ascii=False))


def printable(text: str) -> str:
    """Return `text` with each unprintable character but a new line replaced by U+FFFD.

    A terminal would obey control characters, and the text may come from anybody.
    """
    return "".join(one if one.isprintable() or one == "\n" else REPLACED for one in text)
