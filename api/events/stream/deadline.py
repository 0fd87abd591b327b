"""How long one answer may last: the only difference between containers and functions."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from api.events.reasons import CloseReason

SERVER_HOLD_S = 25.0  # the longest that a server holds a JSON answer
FUNCTION_HOLD_S = 20.0
"""API Gateway gives up after 29 s, and an instance that waits is paid for."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """How long one answer may last (`lifetime_s`, in seconds), and the reason that its `bye` gives.

    `one_batch` ends the answer after its first events, because a client sees a buffered answer only
    when it has ended. `hold_s` limits how long a JSON answer may wait for events. `is_alone` says
    that the answer occupies a whole instance while it lasts.
    """

    lifetime_s: float
    reason: CloseReason
    one_batch: bool = False
    hold_s: float = SERVER_HOLD_S
    is_alone: bool = False

    @property
    def longest_hold_s(self) -> float:
        """The longest that a JSON answer may wait for events, in seconds.

        The short window of a buffered answer does not limit it: a stream must end early so that the
        client sees its frames, but a JSON answer has nothing to show before it ends.
        """
        return self.hold_s if self.one_batch else min(self.hold_s, self.lifetime_s)


Deadlines = Callable[[Mapping[str, Any]], Deadline]
"""Takes the ASGI scope of a request and returns the deadline of its answer."""


def rotation(longest_s: float, rng: random.Random) -> Deadlines:
    """Return the deadlines of servers: 80 to 100 % of `longest_s` seconds.

    They are chosen at random, so that streams that began together do not end together.
    """

    def deadline(_: Mapping[str, Any]) -> Deadline:
        return Deadline(longest_s * rng.uniform(0.8, 1.0), CloseReason.ROTATE)

    return deadline


def window(longest_s: float) -> Deadlines:
    """Return the deadlines of buffered functions, whose streams last `longest_s` seconds at most.

    Such a stream is answered at once if there are events, and otherwise with the first that come.
    """

    def deadline(_: Mapping[str, Any]) -> Deadline:
        return Deadline(longest_s, CloseReason.DEADLINE, one_batch=True, hold_s=FUNCTION_HOLD_S)

    return deadline
