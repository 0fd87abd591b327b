"""How long an answer may last. The delivery modes differ by this and by nothing else."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from api.events.reasons import CloseReason

SERVER_HOLD_S = 25.0
FUNCTION_HOLD_S = 20.0
"""API Gateway gives up after 29 s, and an instance that waits is paid for."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """`one_batch` ends the answer behind its first events: what a buffered answer needs.

    `hold_s` is the longest a JSON answer may be held until there is news. `is_alone`: the
    answer takes an instance for itself as long as it lasts.
    """

    lifetime_s: float
    reason: CloseReason
    one_batch: bool = False
    hold_s: float = SERVER_HOLD_S
    is_alone: bool = False

    @property
    def longest_hold_s(self) -> float:
        """A window limits streams, which are worth little while nobody sees them; not these."""
        return self.hold_s if self.one_batch else min(self.hold_s, self.lifetime_s)


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
        return Deadline(longest_s, CloseReason.DEADLINE, one_batch=True, hold_s=FUNCTION_HOLD_S)

    return deadline
