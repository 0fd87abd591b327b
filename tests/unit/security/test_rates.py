"""How fast one caller may go."""

from __future__ import annotations

import pytest

from api.problems import RateLimited
from api.security.rates import RateLimiter
from tests.unit.security.support import FakeClock


def limiter(clock: FakeClock, *, per_s: float = 2, burst: int = 4, keys: int = 100) -> RateLimiter:
    return RateLimiter(per_s=per_s, burst=burst, monotonic=clock, capacity=keys)


def exhaust(rates: RateLimiter, key: str) -> str:
    """Take until refused; the Retry-After of the refusal."""
    with pytest.raises(RateLimited) as caught:
        for _ in range(1000):
            rates.take(key)
    return caught.value.headers["Retry-After"]


def test_the_burst_goes_at_once_and_then_no_more():
    """One token for each, none left after the burst."""
    rates = limiter(FakeClock(), burst=4)

    for _ in range(4):
        rates.take("a")
    with pytest.raises(RateLimited):
        rates.take("a")


def test_tokens_come_back_at_the_rate():
    """Two a second, up to the burst."""
    clock = FakeClock()
    rates = limiter(clock)
    exhaust(rates, "a")

    clock.advance(1)
    rates.take("a", 2)
    exhaust(rates, "a")
    clock.advance(3600)
    rates.take("a", 4)
    with pytest.raises(RateLimited):
        rates.take("a")


def test_retry_after_is_the_time_until_it_works():
    """Waiting that long is enough; a second is the least."""
    clock = FakeClock()
    rates = limiter(clock, per_s=0.1)
    assert exhaust(rates, "a") == "10"

    clock.advance(10)
    rates.take("a")

    assert exhaust(limiter(clock, per_s=1000), "a") == "1"


def test_a_refusal_takes_nothing():
    """Hammering does not lengthen the wait."""
    clock = FakeClock()
    rates = limiter(clock)
    exhaust(rates, "a")
    for _ in range(10):
        exhaust(rates, "a")

    clock.advance(0.5)
    rates.take("a")


def test_keys_do_not_share():
    """One caller's flood is not another's."""
    rates = limiter(FakeClock())
    exhaust(rates, "a")

    rates.take("b", 4)


def test_more_than_the_burst_passes_once_and_is_paid_off():
    """A large batch is not refused for ever, and on average the rate holds."""
    clock = FakeClock()
    rates = limiter(clock)

    rates.take("a", 10)
    with pytest.raises(RateLimited) as caught:
        rates.take("a")

    assert caught.value.headers["Retry-After"] == "4"
    clock.advance(4)
    rates.take("a")


def test_memory_is_bounded_and_the_oldest_key_goes_first():
    """A flood of keys drops those not used for longest."""
    rates = limiter(FakeClock(), keys=2)
    exhaust(rates, "a")
    exhaust(rates, "b")
    exhaust(rates, "a")

    rates.take("c")

    with pytest.raises(RateLimited):
        rates.take("a")
    rates.take("b", 4)


@pytest.mark.parametrize("n", [0, -1])
def test_nobody_takes_less_than_one(n: int):
    """A negative count would fill the bucket."""
    with pytest.raises(ValueError, match="at least 1"):
        limiter(FakeClock()).take("a", n)
