"""What a doorbell tells of publishers that send no wake-ups."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any, cast

from structlog.testing import capture_logs

from api.events.live.doorbell import SILENT_POLLS, Doorbell


class Line:
    """A subscription to which the test sends wake-ups."""

    def __init__(self) -> None:
        self.wake_ups: asyncio.Queue[str] = asyncio.Queue()
        self.wake_ups.put_nowait("")

    async def listen(self, _: str) -> AsyncIterator[str]:
        while True:
            yield await self.wake_ups.get()
            self.wake_ups.task_done()


async def told(*, rings_every: int = 0) -> list[Any]:
    """What is logged while 30 polls bring events."""
    line = Line()
    doorbell = Doorbell(cast(Any, line), rng=random.Random(1))
    listening = asyncio.create_task(doorbell.listen(lambda _: None))
    await line.wake_ups.join()
    with capture_logs() as logs:
        for poll in range(1, 3 * SILENT_POLLS + 1):
            if rings_every and poll % rings_every == 0:
                line.wake_ups.put_nowait("public:a")
                await line.wake_ups.join()
            doorbell.note_poll(1)
    listening.cancel()
    await asyncio.wait([listening])
    return [one["event"] for one in logs]


async def test_events_without_a_wake_up_are_told_of_once():
    """Some publisher runs without the doorbell, so readers here wait for polls."""
    assert await told() == ["doorbell.silent"]


async def test_events_with_their_wake_ups_are_nothing_to_tell_of():
    """One wake-up may stand for the events of several polls."""
    assert await told(rings_every=SILENT_POLLS // 2) == []
