"""All streams of a process: kept alive, counted, refused, drained."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from api.events.delivery.connection import Connection
from api.events.delivery.sse import KEEP_ALIVE
from api.events.stream.open_streams import OpenStreams
from tests.support.leap_loop import leaping, turns
from tests.unit.events.fakes import FakeSend, connect


class Clocked(FakeSend):
    """Notes when each keep-alive came."""

    def __init__(self) -> None:
        super().__init__()
        self.at: list[float] = []

    async def __call__(self, message: object) -> None:
        self.at.append(asyncio.get_running_loop().time())
        await super().__call__(message)


def opened(streams: OpenStreams) -> tuple[Clocked, Connection]:
    sent = Clocked()
    connection = connect(sent)
    streams.add(connection)
    return sent, connection


@pytest.mark.parametrize("keep_alive_s", [1, 2, 15])
def test_every_stream_gets_a_comment_each_interval(keep_alive_s: int):
    """The first comes within the interval too, and then exactly one in each."""

    @leaping
    async def run() -> None:
        streams = OpenStreams(keep_alive_s=keep_alive_s, max_streams=1000)
        sends = [opened(streams)[0] for _ in range(40)]
        await asyncio.sleep(10 * keep_alive_s + 0.5)

        for sent in sends:
            assert keep_alive_s / 2 <= sent.at[0] + 1e-6 <= keep_alive_s + 1e-3
            gaps = [later - sooner for sooner, later in zip(sent.at, sent.at[1:], strict=False)]
            assert gaps == pytest.approx([keep_alive_s] * len(gaps))
            assert set(sent.chunks) == {KEEP_ALIVE}

    run()


@leaping
async def test_keep_alives_of_a_storm_are_spread():
    """A thousand clients that came at once are not all written to in the same second."""
    streams = OpenStreams(keep_alive_s=15, max_streams=10_000)
    sends = [opened(streams)[0] for _ in range(1000)]
    await asyncio.sleep(15.5)

    seconds = Counter(round(sent.at[0]) for sent in sends)
    assert len(seconds) == 8
    assert max(seconds.values()) == 125


@leaping
async def test_no_timer_runs_without_streams():
    """A function that is frozen between two requests has nothing to wake up for."""
    streams = OpenStreams(keep_alive_s=15, max_streams=10)
    sent, connection = opened(streams)
    streams.remove(connection)
    await asyncio.sleep(100)
    assert sent.chunks == []

    again, _ = opened(streams)
    await asyncio.sleep(15.5)
    assert again.chunks == [KEEP_ALIVE]


@leaping
async def test_a_full_process_refuses_more_until_one_leaves():
    """It is full for a while only, and the refusal says so."""
    streams = OpenStreams(keep_alive_s=15, max_streams=2)
    _, connection = opened(streams)
    one_is_open = streams.refusal
    opened(streams)
    full = streams.refusal
    streams.remove(connection)

    assert (one_is_open, full, streams.refusal) == (None, "overloaded", None)
    assert len(streams) == 1


@leaping
async def test_draining_ends_all_and_returns_when_the_last_has_left():
    """Each session leaves after its `bye`."""
    streams = OpenStreams(keep_alive_s=15, max_streams=10)
    pairs = [opened(streams) for _ in range(3)]
    draining = asyncio.create_task(streams.drain(timeout_s=10))
    await turns()
    assert not draining.done()
    for sent, connection in pairs:
        assert b'"reason":"shutdown"' in sent.text
        streams.remove(connection)

    assert await draining
    assert streams.refusal == "draining"


@leaping
async def test_draining_gives_up_in_time():
    """The server closes the connections that still hang."""
    streams = OpenStreams(keep_alive_s=15, max_streams=10)
    opened(streams)[0].stall()
    began = asyncio.get_running_loop().time()

    assert not await streams.drain(timeout_s=7)
    assert asyncio.get_running_loop().time() - began == pytest.approx(7)


@leaping
async def test_draining_nothing_is_done_at_once():
    """Without streams there is nothing to wait for."""
    assert await OpenStreams(keep_alive_s=15, max_streams=10).drain(timeout_s=0)
