"""Pauses between the tries of something that failed."""

import random
from collections.abc import Iterator


def growing_pauses(shortest_s: float, longest_s: float, rng: random.Random) -> Iterator[float]:
    """Seconds to wait after each failure in turn: from `shortest_s`, doubling up to `longest_s`.

    Each is made half to one and a half times as long at random: callers that failed at the
    same moment would else come back at the same moment, and fail again. Begin a new iterator
    after a success. Never ends.
    """
    pause_s = shortest_s
    while True:
        yield pause_s * rng.uniform(0.5, 1.5)
        pause_s = min(longest_s, pause_s * 2)
