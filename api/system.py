"""What a process is given and cannot compute: time, chance and names."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4


@dataclass(frozen=True, slots=True)
class System:
    """`clock` gives epoch seconds, `monotonic` seconds that never go back.

    `rng` is for jitter. `new_id` gives random texts, 122 bits of chance or more.
    """

    clock: Callable[[], float]
    monotonic: Callable[[], float]
    rng: random.Random
    new_id: Callable[[], str]

    @staticmethod
    def real() -> "System":
        """That of a process in production."""
        rng = random.Random()  # noqa: S311  # jitter
        return System(time.time, time.monotonic, rng, lambda: uuid4().hex)
