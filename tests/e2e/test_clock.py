"""The clock of a real process, read by several at once."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from time import perf_counter

import httpx

from tests.e2e.conftest import Start
from tests.support.sse_parser import Frame, SseParser

READERS = 5
TICKS = 4


async def watch(url: str, arrived: list[float], enough: asyncio.Event) -> list[Frame]:
    """All frames, to the end of the stream; `arrived` has when each tick came."""
    parser, frames = SseParser(), []
    async with (
        httpx.AsyncClient(verify=False, timeout=10) as client,
        client.stream("GET", f"{url}/api/clock") as answer,
    ):
        async for chunk in answer.aiter_bytes():
            for frame in parser.feed(chunk):
                frames.append(frame)
                if frame.event == "tick":
                    arrived.append(perf_counter())
            if len(arrived) >= TICKS:
                enough.set()
    return frames


async def test_every_reader_gets_a_tick_a_second_until_sigterm(start: Start):
    """Several readers are told the same seconds, and the end has a reason."""
    server = start()
    arrived: list[list[float]] = [[] for _ in range(READERS)]
    enough = [asyncio.Event() for _ in range(READERS)]
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        pairs = zip(arrived, enough, strict=True)
        watching = [group.create_task(watch(server.url, *pair)) for pair in pairs]
        for one in enough:
            await one.wait()
        server.terminate()

    for times in arrived:
        gaps = [later - sooner for sooner, later in pairwise(times)]
        assert all(0.5 < gap < 1.5 for gap in gaps), gaps
        assert 0.9 < sum(gaps) / len(gaps) < 1.1, gaps
    for task in watching:
        *_, last = task.result()
        assert (last.event, json.loads(last.data)["reason"]) == ("bye", "shutdown")
    assert await asyncio.to_thread(server.wait) == 0
