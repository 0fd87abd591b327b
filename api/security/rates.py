"""Limits how fast one caller may go, within one process."""

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from api.problems import RateLimited

Charge = Callable[[int], None]
"""Charges a caller for a number of things; raises RateLimited if the caller may not use them."""


def free(_: int) -> None:
    """Charge nothing. This is the charge where there is no limit."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at: float


class RateLimiter:
    """Limits the rate of each key with a token bucket: `per_s` tokens a second, `burst` at once.

    A key is mostly the id of a caller. `monotonic` gives seconds that never go back. The `capacity`
    keys used last are kept; a key that drops out starts again with a full bucket.
    """

    def __init__(
        self, *, per_s: float, burst: int, monotonic: Callable[[], float], capacity: int = 10_000
    ) -> None:
        self._per_s = per_s
        self._burst = burst
        self._monotonic = monotonic
        self._capacity = capacity
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def take(self, key: str, n: int = 1) -> None:
        """Take `n` tokens from the bucket of `key`. Raises RateLimited, and then takes none.

        More than `burst` is let through when the bucket is full and paid off afterwards, so that a
        large batch waits instead of being refused for ever. Raises ValueError for an `n` below 1.
        """
        if n < 1:
            raise ValueError("n must be at least 1")
        bucket = self._filled(key)
        lacking = min(n, self._burst) - bucket.tokens
        if lacking > 0:
            raise RateLimited(retry_after_s=max(1, math.ceil(lacking / self._per_s)))
        bucket.tokens -= n

    def _filled(self, key: str) -> _Bucket:
        now = self._monotonic()
        bucket = self._buckets.setdefault(key, _Bucket(self._burst, now))
        gained = (now - bucket.filled_at) * self._per_s
        bucket.tokens = min(self._burst, bucket.tokens + gained)
        bucket.filled_at = now
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._capacity:
            self._buckets.popitem(last=False)
        return bucket
