"""How long an answer may last. The delivery modes differ by this and by nothing else."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from api.events.sse import CloseReason


@dataclass(frozen=True, slots=True)
class Deadline:
    """`one_batch` ends the answer behind its first events: what a buffered answer needs."""

    lifetime_s: float
    reason: CloseReason
    one_batch: bool = False


Deadlines = Callable[[Mapping[str, Any]], Deadline]
"""The deadline of a request, from its ASGI scope."""


def rotation(longest_s: float, rng: random.Random) -> Deadlines:
    """For servers: 80 to 100 % of `longest_s`, so that streams do not all end together."""

    def deadline(_: Mapping[str, Any]) -> Deadline:
        return Deadline(longest_s * rng.uniform(0.8, 1.0), CloseReason.ROTATE)

    return deadline


def window(longest_s: float) -> Deadlines:
    """For buffered functions: a backlog at once, else the first batch within `longest_s`."""

    def deadline(_: Mapping[str, Any]) -> Deadline:
        return Deadline(longest_s, CloseReason.DEADLINE, one_batch=True)

    return deadline
