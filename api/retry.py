"""Computes the pauses between attempts at something that fails."""

import random
from collections.abc import Iterator


def growing_pauses(shortest_s: float, longest_s: float, rng: random.Random) -> Iterator[float]:
    """Yield the seconds to wait after each failure in turn, without end.

    The first pause is `shortest_s`, and each further one is twice as long, up to `longest_s`. Each
    is multiplied by a random factor from 0.5 to 1.5, because callers that failed at the same moment
    would otherwise come back at the same moment and fail again. After a success, start a new
    iterator.
    """
    pause_s = shortest_s
    while True:
        yield pause_s * rng.uniform(0.5, 1.5)
        pause_s = min(longest_s, pause_s * 2)
