"""The clock: one tick a second for whoever reads, and nothing for nobody."""

from __future__ import annotations

import asyncio
import json

from api.clock.clock import Clock
from tests.support.leap_loop import leaping, turns
from tests.unit.events.fakes import FakeSend, connect

NOON = 1_795_176_000.0


def running_clock(start: float) -> Clock:
    """A clock whose `now` runs with the loop's time, from `start` on."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    return Clock(lambda: start + loop.time() - began)


def times(sent: FakeSend) -> list[str]:
    return [json.loads(frame.data)["time"] for frame in sent.frames]


@leaping
async def test_ticks_come_with_the_whole_seconds():
    """Whenever a reader comes, all readers are told the same."""
    clock, early, late = running_clock(NOON + 0.25), FakeSend(), FakeSend()
    clock.add(connect(early))
    await asyncio.sleep(1.5)
    clock.add(connect(late))
    await asyncio.sleep(2)

    assert times(early) == [f"2026-11-20T12:00:0{n}.000Z" for n in (1, 2, 3)]
    assert times(late) == times(early)[1:]
    assert {frame.event for frame in early.frames} == {"tick"}


@leaping
async def test_all_readers_get_the_same_bytes():
    """A tick is encoded once, also for more readers than one round of sends has."""
    clock, sends = running_clock(NOON), [FakeSend() for _ in range(600)]
    for sent in sends:
        clock.add(connect(sent))
    await asyncio.sleep(1.5)

    assert len({id(sent.chunks[0]) for sent in sends}) == 1


@leaping
async def test_a_reader_that_stalls_misses_ticks_and_holds_nobody_up():
    """It gets the one that was under way, and goes on with the time as it is then."""
    clock, slow, fast = running_clock(NOON), FakeSend(), FakeSend()
    clock.add(connect(slow))
    clock.add(connect(fast))
    slow.stall()
    await asyncio.sleep(5.5)
    slow.go_on()
    await asyncio.sleep(1)

    assert len(fast.frames) == 6
    assert times(slow) == [times(fast)[0], times(fast)[5]]


@leaping
async def test_a_halted_process_does_not_make_up_for_lost_ticks():
    """A function that was frozen for an hour sends one tick, not 3,600."""
    clock, sent = running_clock(NOON), FakeSend()
    clock.add(connect(sent))
    loop = asyncio.get_running_loop()
    await asyncio.sleep(0.5)
    loop._now_s += 3600  # type: ignore[attr-defined]
    await asyncio.sleep(1.75)

    assert times(sent)[1:] == ["2026-11-20T13:00:01.000Z", "2026-11-20T13:00:02.000Z"]


@leaping
async def test_nothing_runs_without_readers():
    """The last one to leave stops the timer, and the next one starts it again."""
    clock, sent = running_clock(NOON), FakeSend()
    for _ in range(2):
        connection = connect(sent)
        clock.add(connection)
        await asyncio.sleep(1.5)
        clock.remove(connection)
        await turns()

        assert asyncio.all_tasks() == {asyncio.current_task()}
    assert len(sent.frames) == 2
