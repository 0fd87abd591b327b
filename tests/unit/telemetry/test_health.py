"""Health asks each part once, whoever wants to know."""

from __future__ import annotations

import asyncio

from api.telemetry.health import FRESH_S, Health


class Part:
    """Counts who asks; `fails` makes it raise."""

    def __init__(self) -> None:
        self.asked = 0
        self.fails = False

    async def __call__(self) -> None:
        self.asked += 1
        await asyncio.sleep(0)
        if self.fails:
            raise RuntimeError


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def test_all_who_ask_at_once_share_one_answer() -> None:
    part = Part()
    well = Health({"redis": part}, monotonic=Clock())

    answers = await asyncio.gather(*(well.failing() for _ in range(10)))

    assert (answers, part.asked) == ([()] * 10, 1)


async def test_an_answer_is_good_for_a_second() -> None:
    part, clock = Part(), Clock()
    well = Health({"redis": part}, monotonic=clock)

    assert await well.failing() == ()
    part.fails = True
    assert await well.failing() == ()
    clock.now += FRESH_S
    assert await well.failing() == ("redis",)
    assert part.asked == 2


async def test_every_part_that_fails_is_named() -> None:
    broken, fine = Part(), Part()
    broken.fails = True
    well = Health({"redis": broken, "ably": fine, "queue": broken}, monotonic=Clock())

    assert await well.failing() == ("redis", "queue")
    assert well.parts == ("redis", "ably", "queue")


async def test_a_part_that_hangs_has_failed() -> None:
    well = Health({"redis": asyncio.Event().wait}, monotonic=Clock(), timeout_s=0.01)

    assert await well.failing() == ("redis",)


async def test_one_who_leaves_does_not_spoil_the_answer() -> None:
    part = Part()
    well = Health({"redis": part}, monotonic=Clock())

    leaving = asyncio.create_task(well.failing())
    staying = asyncio.create_task(well.failing())
    await asyncio.sleep(0)
    leaving.cancel()

    assert await staying == ()
    assert (await asyncio.gather(leaving, return_exceptions=True))[0].__class__ is (
        asyncio.CancelledError
    )
