"""Time, randomness and new ids, passed in as parameters so that tests can replace them."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4


@dataclass(frozen=True, slots=True)
class System:
    """The sources of time, randomness and ids that a process uses.

    `clock` returns seconds since 1970, `monotonic` seconds that never go back. `rng` is for jitter,
    not for secrets. `new_id` returns texts with at least 122 random bits.
    """

    clock: Callable[[], float]
    monotonic: Callable[[], float]
    rng: random.Random
    new_id: Callable[[], str]

    @staticmethod
    def real() -> "System":
        """Return the sources that a process in production uses."""
        rng = random.Random()  # noqa: S311  # jitter
        return System(time.time, time.monotonic, rng, lambda: uuid4().hex)
