"""A Lua script that Redis runs atomically."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script with the rule by which it is billed.

    `calls` takes the result of a run and returns the names of the commands that it ran, for the
    meter. A script is always sent as EVAL with its whole `source`: EVALSHA may reach a replica that
    does not know the script yet, and both take the same time on Upstash.
    """

    source: str
    calls: Callable[[Any], Sequence[str]]
