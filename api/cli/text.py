"""What is printed: JSON for programs, and for people no text that a terminal would obey."""

import json
from typing import Any

import rich_click as click

REPLACED = "\N{REPLACEMENT CHARACTER}"


def line(value: Any) -> None:
    """Print `value` as one line of ASCII JSON, at once."""
    click.echo(json.dumps(value, separators=(",", ":")))


def readable(value: Any) -> str:
    """`value` as JSON in its own script."""
    return printable(json.dumps(value, ensure_ascii=False))


def printable(text: str) -> str:
    """`text` without control characters but new lines, which would give orders to the terminal."""
    return "".join(one if one.isprintable() or one == "\n" else REPLACED for one in text)
