"""The poller's pace."""

from __future__ import annotations

import pytest

from api.events.live.poller import Pace


def pace(pause_s: float = 0.1) -> Pace:
    return Pace(shortest_s=0.1, longest_s=2, longest_with_doorbell_s=30, pause_s=pause_s)


def test_news_makes_it_quick():
    """After one event more may come."""
    assert pace(2).after(news=True, has_doorbell=False) == 0.1


def test_silence_makes_it_slower_by_half_up_to_the_cap():
    """Only after two polls, which may just have missed an event."""
    one = pace()
    pauses = [one.after(news=False, has_doorbell=False) for _ in range(12)]

    assert pauses[:5] == pytest.approx([0.1, 0.1, 0.15, 0.225, 0.3375])
    assert pauses[-2:] == [2, 2]


def test_a_doorbell_lets_it_rest_longer():
    """With a doorbell polls are only a safety net."""
    one = pace()
    pauses = [one.after(news=False, has_doorbell=True) for _ in range(6)]

    assert pauses == pytest.approx([0.4, 1.6, 6.4, 25.6, 30, 30])


def test_a_lost_doorbell_brings_the_pause_back_under_its_own_cap():
    """At the very next poll."""
    assert pace(30).after(news=False, has_doorbell=False) == 2


def test_quickening_starts_over():
    """A caller that expects news need not wait for the pause to end."""
    one = pace()
    for _ in range(10):
        one.after(news=False, has_doorbell=False)
    one.quicken()

    assert one.after(news=False, has_doorbell=False) == pytest.approx(0.1)


def test_a_year_of_silence_changes_nothing():
    """No number grows without end."""
    one = pace()
    pauses = {one.after(news=False, has_doorbell=has) for has in (True, False) for _ in range(5000)}

    assert max(pauses) == 30
