"""How long an answer may last: the one thing in which containers and functions differ."""

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
    """How long one answer may last, in seconds, and the reason that its `bye` gives.

    `one_batch` ends the answer behind its first events, because a buffered answer is seen only
    when it has ended. `hold_s` is the longest that a JSON answer may wait for news. `is_alone`
    says that the answer takes a whole instance as long as it lasts.
    """

    lifetime_s: float
    reason: CloseReason
    one_batch: bool = False
    hold_s: float = SERVER_HOLD_S
    is_alone: bool = False

    @property
    def longest_hold_s(self) -> float:
        """The longest that a JSON answer may wait for news.

        The short window of a buffered answer limits streams only: until it ends nobody sees their
        frames. A JSON answer has nothing to show before it ends anyway.
        """
        return self.hold_s if self.one_batch else min(self.hold_s, self.lifetime_s)


Deadlines = Callable[[Mapping[str, Any]], Deadline]
"""The deadline of a request, from its ASGI scope."""


def rotation(longest_s: float, rng: random.Random) -> Deadlines:
    """Deadlines for servers: 80 to 100 % of `longest_s`, so that streams do not end together."""

    def deadline(_: Mapping[str, Any]) -> Deadline:
        return Deadline(longest_s * rng.uniform(0.8, 1.0), CloseReason.ROTATE)

    return deadline


def window(longest_s: float) -> Deadlines:
    """Deadlines for buffered functions: what there is, else the first that comes in `longest_s`."""

    def deadline(_: Mapping[str, Any]) -> Deadline:
        return Deadline(longest_s, CloseReason.DEADLINE, one_batch=True, hold_s=FUNCTION_HOLD_S)

    return deadline
