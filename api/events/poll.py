"""One JSON answer from the same log, with the same cursor, as a held stream gives."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from api.events.bounds import ANSWER_BYTES, size_of
from api.events.catchup import Catchup
from api.events.cursor import CursorWriter
from api.events.event import Event
from api.events.held import StreamDesk
from api.events.hub import Restarts
from api.events.session import Reading

MAX_EVENTS = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """What was new, the cursor behind it, and whether there is more to ask for at once."""

    events: Sequence[Event]
    restarts: Restarts
    cursor: str
    more: bool

    @property
    def is_news(self) -> bool:
        return bool(self.events or self.restarts)


async def poll(desk: StreamDesk, reading: Reading, *, wait_s: float) -> Answer:
    """What follows the cursor; with `wait_s`, the first that comes within that time.

    Raises `RedisError`, and what the reading's charge does.
    """
    topics = reading.view.topics
    if reading.cursor is not None:
        desk.metrics.resumes.inc()
    if not wait_s:
        return await _read(desk, reading, wait_s=0.0)
    desk.hub.watch(topics)
    try:
        return await _read(desk, reading, wait_s=wait_s)
    finally:
        desk.hub.unwatch(topics)


async def _read(desk: StreamDesk, reading: Reading, *, wait_s: float) -> Answer:
    ends_at = asyncio.get_running_loop().time() + wait_s
    catchup = Catchup(
        desk.hub,
        desk.log,
        reading.view.topics,
        cursor=reading.cursor,
        history=reading.history,
        newest=reading.newest,
        charge=reading.charge,
    )
    _, history = await catchup.begin()
    events = [event for event in history if reading.view.shows(event)]
    restarts: Restarts = {}
    while True:
        movement = desk.hub.movement
        batch = await catchup.step()
        if batch is not None:
            events += [event for event in batch.events if reading.view.shows(event)]
            restarts = {**restarts, **batch.restarts}
            if len(events) < MAX_EVENTS and size_of(events) < ANSWER_BYTES:
                continue
        left_s = ends_at - asyncio.get_running_loop().time()
        has_news = batch is not None or events or restarts
        if has_news or left_s <= 0 or desk.streams.is_draining:
            break
        with suppress(TimeoutError):
            async with desk.streams.hold(left_s):
                await movement.wait()
    cursor = CursorWriter(catchup.positions).text().decode()
    desk.metrics.delivered.inc(len(events))
    desk.metrics.resets.inc(len(restarts))
    return Answer(events, restarts, cursor, more=batch is not None)
