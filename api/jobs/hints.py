"""When a client should ask again."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from api.jobs.job import Job

JITTER = 0.1
LONG_QUEUE = 10
LATER_MS = 10_000
BY_AGE_MS = ((3_000, 500), (30_000, 1_000), (300_000, 2_500))


@dataclass(frozen=True, slots=True)
class Hints:
    """Soon for a young job, seldom for an old one or one far back in the queue.

    `clock` gives epoch seconds. While `is_shedding` everybody comes less often.
    """

    clock: Callable[[], float]
    rng: random.Random
    is_shedding: Callable[[], bool] = lambda: False

    def poll_after_ms(self, job: Job, *, position: int | None = None) -> int:
        """Milliseconds until the next poll is worth while; 0 for a job that is done."""
        if job.is_done:
            return 0
        age_ms = self.clock() * 1000 - job.queued_ms
        pause_ms = next((pause for below, pause in BY_AGE_MS if age_ms < below), LATER_MS)
        if position is not None and position > LONG_QUEUE:
            pause_ms *= 2
        if self.is_shedding():
            pause_ms *= 4
        return int(pause_ms * self.rng.uniform(1 - JITTER, 1 + JITTER))


def retry_after_s(poll_after_ms: int) -> int:
    """The same in whole seconds, for `Retry-After`: at least 1."""
    return max(1, math.ceil(poll_after_ms / 1000))
