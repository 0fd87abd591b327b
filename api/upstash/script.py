"""A Lua script that Redis runs as one step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script and how to bill it: `calls(result)` names the commands it ran.

    Always sent as EVAL with its body: EVALSHA may meet a replica that does not know it yet,
    and both take the same time on Upstash.
    """

    source: str
    calls: Callable[[Any], Sequence[str]]
