"""How long answers last."""

from __future__ import annotations

import random

from api.events.deadline import Deadline, rotation, window
from api.events.sse import CloseReason


def test_rotation_is_spread_over_a_fifth_of_the_longest():
    """So that streams of one deploy do not all come back together."""
    deadlines = [rotation(900, random.Random(seed))({}) for seed in range(200)]

    lives = [one.lifetime_s for one in deadlines]
    assert 720 <= min(lives) < 740
    assert 880 < max(lives) <= 900
    assert {(one.reason, one.one_batch) for one in deadlines} == {(CloseReason.ROTATE, False)}


def test_a_window_ends_behind_the_first_batch():
    """That is all that a buffered answer needs."""
    assert window(5)({}) == Deadline(5, CloseReason.DEADLINE, one_batch=True)
