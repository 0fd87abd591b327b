"""How long answers last."""

from __future__ import annotations

import random

from api.events.reasons import CloseReason
from api.events.stream.deadline import FUNCTION_HOLD_S, Deadline, rotation, window


def test_rotation_is_spread_over_a_fifth_of_the_longest():
    """So the streams that began together do not all come back together."""
    deadlines = [rotation(900, random.Random(seed))({}) for seed in range(200)]

    lives = [one.lifetime_s for one in deadlines]
    assert 720 <= min(lives) < 740
    assert 880 < max(lives) <= 900
    assert {(one.reason, one.one_batch) for one in deadlines} == {(CloseReason.ROTATE, False)}


def test_a_window_ends_behind_the_first_batch():
    """The client of a buffered answer sees it only when it has ended."""
    assert window(5)({}) == Deadline(5, CloseReason.DEADLINE, one_batch=True, hold_s=20)


def test_json_answers_are_held_as_long_as_the_deployment_bears():
    """A server holds them for 25 s, a function for 20 s, whatever its window is."""
    server = rotation(900, random.Random(1))({})
    function = Deadline(600, CloseReason.DEADLINE, hold_s=FUNCTION_HOLD_S)
    ending = Deadline(7, CloseReason.DEADLINE, hold_s=FUNCTION_HOLD_S)
    buffered = window(5)({})

    assert [one.longest_hold_s for one in (server, function, ending, buffered)] == [25, 20, 7, 20]
