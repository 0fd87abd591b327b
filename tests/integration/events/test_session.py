"""A stream's session at its limits: servers that cancel, raise, or say nothing of the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.events.read_request import ReadRequest
from api.events.reasons import CloseReason
from api.events.stream.deadline import Deadline
from api.events.stream.session import TopicSession
from api.events.topic import TopicName
from tests.integration.events.conftest import Start, put
from tests.support.client import Client
from tests.support.instances import Instance
from tests.support.sse_parser import SseParser
from tests.support.upstash_server import UpstashServer

A, B = TopicName("public:a"), TopicName("public:b")
READING = ReadRequest.of([A], None)


class Peer:
    """The server's end: takes bytes, raises from the `breaks`th on, tells of the end if asked."""

    def __init__(self, breaks: int = 1000) -> None:
        self.chunks: list[bytes] = []
        self.is_gone = asyncio.Event()
        self._breaks = breaks

    async def receive(self) -> Any:
        await self.is_gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if len(self.chunks) >= self._breaks:
            raise OSError("broken pipe")
        self.chunks.append(message["body"])

    @property
    def events(self) -> list[str]:
        return [frame.event for frame in SseParser().feed(b"".join(self.chunks))]


class Running:
    """A session that runs."""

    def __init__(self, instance: Instance, peer: Peer, lifetime_s: float = 60) -> None:
        self.session = TopicSession(
            instance.services.streaming,
            READING,
            deadline=Deadline(lifetime_s, CloseReason.ROTATE),
            expires_at=None,
        )
        self.task = asyncio.create_task(self.session.run(peer.receive, peer.send))


@pytest.fixture
async def quiet(start: Start) -> AsyncIterator[Instance]:
    """An instance that must have no stream and no watched topic at the end."""
    instance = await start(redis_timeout_s=0.3)
    yield instance
    assert len(instance.services.streaming.open_streams) == 0
    assert not instance.services.streaming.hub.follows_anything


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.002)


async def test_a_session_that_the_server_cancels_cleans_up(quiet: Instance):
    """The cancellation reaches the server; no stream and no watched topic stays."""
    peer = Peer()
    running = Running(quiet, peer)
    await until(lambda: peer.events)
    running.task.cancel()
    await asyncio.wait([running.task])

    assert running.task.cancelled()


@pytest.mark.parametrize("breaks", [0, 1, 2])
async def test_a_server_that_raises_ends_the_session_when_it_says_so(breaks: int, quiet: Instance):
    """At the first bytes, at `connected`, or later."""
    peer = Peer(breaks)
    running = Running(quiet, peer)
    await until(lambda: len(peer.chunks) == breaks)
    await put(quiet.services.streaming.log, A, 1)
    await asyncio.sleep(0.05)
    peer.is_gone.set()
    await running.task

    assert len(peer.chunks) == breaks


async def test_a_catch_up_stops_when_the_stream_has_ended(quiet: Instance, upstash: UpstashServer):
    """Also where the server is slow to say that the client is gone."""
    upstash.faults(bad_gateway=-1)
    peer = Peer()
    running = Running(quiet, peer, lifetime_s=0.1)
    await until(lambda: peer.events == ["bye"])
    await asyncio.sleep(0.8)  # the catch-up looks again meanwhile
    upstash.clear_faults()
    await asyncio.sleep(0.3)
    assert peer.events == ["bye"]
    peer.is_gone.set()
    await running.task


async def test_a_poller_that_is_closed_runs_no_more(instance: Instance, upstash: UpstashServer):
    """Although there is still a reader."""
    async with Client(instance).stream([A]):
        await instance.services.poller.close()
        upstash.reset_meter()
        await asyncio.sleep(0.1)
        assert upstash.meter().billed == 0


async def test_a_full_batch_is_followed_by_the_next_at_once(start: Start):
    """Whatever the pace is, nobody waits for the rest of many events."""
    instance = await start(poll_min_ms=5000, poll_idle_ms=60_000)
    async with Client(instance).stream([A]) as held:
        await put(instance.services.streaming.log, A, *range(450))
        instance.services.poller.wake()
        events = await held.until_events(450, timeout_s=2)

    assert [event["data"] for event in events] == list(range(450))


async def test_a_wake_up_for_a_topic_that_nobody_reads_wakes_nobody(
    start: Start, upstash: UpstashServer
):
    """Else every publish would cost every process a command."""
    publishing = Client(await start(doorbell=True))
    reading = await start(doorbell=True, poll_min_ms=5000, poll_idle_ms=60_000)
    async with Client(reading).stream([A]) as held:
        doorbell = reading.services.poller._doorbell
        await until(lambda: doorbell is not None and doorbell.is_connected)
        await publishing.publish(A, 1)
        await held.until_events(1)
        # The event may have come by the poll of the connect, and its own wake-up be on the way.
        polls = reading.services.metrics.polls._value
        before = -1.0
        while before != polls.get():
            before = polls.get()
            await asyncio.sleep(0.2)
        upstash.reset_meter()
        for number in range(5):
            await publishing.publish(B, number)
        await asyncio.sleep(0.1)
        assert "XREAD" not in upstash.meter().commands
