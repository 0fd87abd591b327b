"""How long, and how often, a client asks a server that is away."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from api.cli.client import Away, Failed
from api.cli.patience import LONGEST_S, Patience


class Time:
    """Passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def patience(time: Time, limit_s: float = 60, said: list[str] | None = None) -> Patience:
    say: Callable[[str], None] = (said if said is not None else []).append
    return Patience(
        limit_s, say, monotonic=lambda: time.now, sleep=time.sleep, rng=random.Random(1)
    )


def away(times: int, retry_after_s: float = 0.0) -> Callable[[], str]:
    """A question that is answered after so many failures."""
    answers: list[Away | str] = [Away("away", retry_after_s=retry_after_s)] * times
    answers.append("answer")

    def ask() -> str:
        answer = answers.pop(0)
        if isinstance(answer, Away):
            raise answer
        return answer

    return ask


def test_the_first_failure_is_told_at_once() -> None:
    """Nothing has ever answered there."""
    time = Time()

    with pytest.raises(Away):
        patience(time).ask(away(1))

    assert time.slept == []


def test_pauses_grow_to_a_limit_and_both_ends_are_said() -> None:
    """A restart costs seconds; an outage does not become a storm."""
    time, said = Time(), list[str]()
    asking = patience(time, limit_s=600, said=said)
    asking.ask(away(0))

    assert asking.ask(away(9)) == "answer"

    assert all(0.25 <= one <= LONGEST_S for one in time.slept)
    assert time.slept[-1] > LONGEST_S / 2
    assert said == ["The server does not answer; trying again.", "The server is back."]


def test_retry_after_is_a_lower_bound() -> None:
    """A server that says when knows better."""
    time = Time()
    asking = patience(time)
    asking.ask(away(0))

    asking.ask(away(2, retry_after_s=7))

    assert time.slept == [7, 7]


def test_patience_has_an_end() -> None:
    """A script must not hang for ever."""
    time = Time()
    asking = patience(time, limit_s=60)
    asking.ask(away(0))

    with pytest.raises(Away):
        asking.ask(away(1000))

    assert 60 < time.now < 60 + 2 * LONGEST_S


def test_what_is_refused_is_not_asked_again() -> None:
    """The answer would be the same."""

    def refused() -> None:
        raise Failed("no")

    time = Time()
    asking = patience(time)
    asking.ask(away(0))

    with pytest.raises(Failed):
        asking.ask(refused)

    assert time.slept == []
