"""One order for everything, whatever the time does."""

from __future__ import annotations

from infra.local.ably.clock import Clock


def test_stamps_grow_within_a_millisecond_and_when_the_time_is_set_back() -> None:
    """SDKs compare serials as text."""
    clock = Clock(lambda: 1_700_000_000)
    stamps = [clock.stamp() for _ in range(2_500)]
    clock.offset_ms = -60_000
    stamps += [clock.stamp() for _ in range(3)]
    clock.offset_ms = 60_000
    stamps.append(clock.stamp())

    assert stamps == sorted(set(stamps))


def test_the_time_can_be_shifted() -> None:
    clock = Clock(lambda: 1.5)
    clock.offset_ms = 100

    assert clock.now_ms() == 1_600
