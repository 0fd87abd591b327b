"""The promise of the whole project, against the real store, under any schedule."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.events import doorbell
from api.events.deadline import window
from api.events.topic import TopicName, log_key
from api.upstash import UpstashClient
from tests.support.asgi_reader import AsgiConnection
from tests.support.instances import Instance, settings_for
from tests.support.model import Ledger
from tests.support.sse_parser import SseParser
from tests.support.upstash_server import UpstashServer

SCHEDULES = 300
SOAK_SCHEDULES = int(os.environ.get("MILLRACE_SOAK_SCHEDULES", "10000"))
TOPICS = 3
READERS = 2
INSTANCES = 3

reader = st.integers(0, READERS - 1)
topic = st.integers(0, TOPICS - 1)
instance = st.integers(0, INSTANCES - 1)
topics = st.sets(topic, min_size=1)
mode = st.sampled_from(["stream", "stream", "stream", "window", "poll"])
size = st.sampled_from([10, 10, 10, 40_000])
step = st.one_of(
    st.tuples(st.just("publish"), topic, st.integers(1, 6), size),
    st.tuples(st.just("squeeze"), topic, st.integers(2, 6), st.integers(0, 2)),
    st.tuples(st.just("connect"), reader, instance, topics, mode),
    st.tuples(st.just("read"), reader, st.integers(1, 4000) | st.none()),
    st.tuples(st.just("cut"), reader, st.integers(0, 3000)),
    st.tuples(st.just("trim"), topic, st.integers(0, 3)),
    st.tuples(st.just("expire"), topic),
    st.tuples(st.just("pause"), st.integers(1, 3)),
    st.tuples(st.just("restart"), instance),
    st.tuples(st.just("overtake"), reader, topic, st.integers(1, 3)),
)
schedules = st.lists(step, min_size=3, max_size=30)
Plan = list[tuple[Any, ...]]


class World:
    """Instances that outlive the schedules, and the store behind them."""

    def __init__(self, server: UpstashServer) -> None:
        self.server = server
        self.numbers = itertools.count()
        self.runner = asyncio.Runner()
        self.streaming: list[Instance] = []
        self.buffered: Instance
        self.runner.run(self._start())

    async def _start(self) -> None:
        for number in range(INSTANCES):
            self.streaming.append(await self._instance(number))
        options = settings_for(self.server)
        self.buffered = await Instance(options, window(0.05)).start()

    async def _instance(self, number: int) -> Instance:
        # The smallest backlog, so that stalled readers really overflow; one has a doorbell,
        # and one is slow, so that a client may have seen more than it.
        pace = {"poll_min_ms": 120, "poll_idle_ms": 120} if number == 1 else {}
        options = settings_for(self.server, lag_max_bytes=65_536, doorbell=number == 0, **pace)
        return await Instance(options).start()

    @property
    def redis(self) -> UpstashClient:
        return self.buffered.services.redis

    async def restart(self, number: int) -> None:
        await self.streaming[number].stop()
        self.streaming[number] = await self._instance(number)

    def close(self) -> None:
        async def stop() -> None:
            for one in [*self.streaming, self.buffered]:
                await one.stop()

        self.runner.run(stop())
        self.runner.close()


class Example:
    """Fresh topics, what was published on them, and the readers of one schedule."""

    def __init__(self, world: World) -> None:
        number = next(world.numbers)
        self.world = world
        self.names = [TopicName(f"public:{number}:{letter}") for letter in "abc"]
        self.published: dict[str, list[str]] = defaultdict(list)
        self.begun: dict[str, int] = defaultdict(int)
        self.readers = [Reader(self) for _ in range(READERS)]

    async def perform(self, plan: Plan) -> None:
        for name, *args in plan:
            await getattr(self, f"do_{name}")(*args)
        for reader in self.readers:
            await reader.catch_up()

    async def do_publish(self, index: int, count: int, size: int) -> None:
        for _ in range(count):
            await self.publish(self.names[index], "x" * size)

    async def do_squeeze(self, index: int, count: int, keep: int) -> None:
        """Events that are trimmed at once: no poll can come between."""
        name = self.names[index]
        entry = json.dumps({"type": "tick", "data": "squeezed"})
        commands: list[list[str | int]] = [["XADD", log_key(name), "*", "e", entry]] * count
        commands.append(["XTRIM", log_key(name), "MAXLEN", keep])
        self.begun[name] += count
        results = await self.world.redis.transaction(commands)
        self.published[name] += results[:count]

    async def do_connect(self, at: int, number: int, wanted: set[int], mode: str) -> None:
        await self.readers[at].connect(number, wanted, mode)

    async def do_overtake(self, at: int, index: int, count: int) -> None:
        """A reader comes to the slow instance with news that this has not polled yet."""
        await self.readers[1 - at].connect(1, {index}, "stream")
        await self.readers[at].connect(0, {index}, "stream")
        for reader in self.readers:
            await reader.read(None)
        await self.do_publish(index, count, 10)
        await self.readers[at].read(None)
        await self.readers[at].connect(1, {index}, "stream")

    async def do_read(self, at: int, count: int | None) -> None:
        await self.readers[at].read(count)

    async def do_cut(self, at: int, count: int) -> None:
        await self.readers[at].read(count)
        await self.readers[at].disconnect()

    async def do_trim(self, index: int, keep: int) -> None:
        await self.world.redis.write("XTRIM", log_key(self.names[index]), "MAXLEN", keep)

    async def do_expire(self, index: int) -> None:
        await self.world.redis.write("DEL", log_key(self.names[index]))

    async def do_pause(self, count: int) -> None:
        await asyncio.sleep(0.01 * count)

    async def do_restart(self, number: int) -> None:
        await self.world.restart(number)

    async def publish(self, name: TopicName, text: str) -> str:
        """As another process would: into the log, and ring."""
        entry = json.dumps({"type": "tick", "data": text})
        log = self.world.buffered.services.desk.log
        self.begun[name] += 1
        (event_id,) = await log.append([(name, entry)], rings=doorbell.rings([name]))
        assert not isinstance(event_id, Exception)
        self.published[name].append(str(event_id))
        return str(event_id)


class Reader:
    """One client that goes on from its last event id, whatever happens to it."""

    def __init__(self, example: Example) -> None:
        self.example = example
        self.ledger = Ledger(example.published, example.begun)
        self.cursor = ""
        self.topics: list[TopicName] = []
        self.connection: AsgiConnection | None = None
        self._parser = SseParser()

    async def connect(self, number: int, wanted: set[int], mode: str) -> None:
        await self.disconnect()
        world = self.example.world
        self.topics = sorted(self.example.names[index] for index in wanted)
        self.ledger.subscribe(set(self.topics))
        target = world.buffered if mode == "window" else world.streaming[number]
        accept = "application/json" if mode == "poll" else "text/event-stream"
        headers = {"Authorization": f"Bearer {target.token()}", "Accept": accept}
        if self.cursor:
            headers["Last-Event-ID"] = self.cursor
        query = [("topic", name) for name in self.topics]
        connection = AsgiConnection(
            target.app,
            "/api/events",
            query,
            headers,
            stalls=mode == "stream",
            on_bytes=self._watch_for_start,
        )
        if mode == "poll":
            answer = await connection.json()
            self.ledger.take_answer(answer, list(self.topics))
            self.cursor = answer["cursor"]
            return
        self._parser = SseParser(self.cursor)
        self.connection = connection

    def _watch_for_start(self, chunk: bytes) -> None:
        if b"event: connected" in chunk:
            self.ledger.connecting()

    async def read(self, count: int | None, *, timeout_s: float = 0.02) -> bool:
        if self.connection is None:
            return False
        came = await self.connection.wait(timeout_s)
        for frame in self._parser.feed(self.connection.take(count)):
            self.ledger.take(frame)
        self.cursor = self._parser.last_event_id
        if self.connection.is_done and not self.connection.pending:
            await self.disconnect()
        return came

    async def disconnect(self) -> None:
        if self.connection is not None:
            connection, self.connection = self.connection, None
            await connection.close()

    async def catch_up(self) -> None:
        """Read on, reconnecting as an EventSource does, until a last event of each came."""
        wanted = {self.example.names.index(name) for name in self.topics} or {0}
        last: dict[str, str] = {}
        async with asyncio.timeout(20):
            while not last or any(last[t] not in self.ledger.seen[t] for t in self.topics):
                if self.connection is None:
                    await self.connect(0, wanted, "stream")
                if await self.read(None, timeout_s=0.05):
                    continue
                # Silence: either all is read, or a reset passed over the last one.
                for name in self.topics:
                    if last.get(name) not in self.ledger.seen[name]:
                        last[name] = await self.example.publish(name, "last")
        await self.disconnect()


@pytest.fixture(scope="module")
def world(upstash_server: UpstashServer) -> Iterator[World]:
    upstash_server.reset()
    world = World(upstash_server)
    yield world
    world.close()


def check_schedules(world: World, count: int) -> None:
    @settings(
        max_examples=count,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    @given(schedules)
    def each_event_once_and_in_order_or_reset(plan: Plan) -> None:
        world.runner.run(Example(world).perform(plan))

    each_event_once_and_in_order_or_reset()


def test_any_schedule_delivers_each_event_once_and_in_order_or_says_reset(world: World) -> None:
    check_schedules(world, SCHEDULES)


@pytest.mark.soak
def test_a_long_run_of_schedules_keeps_the_promise(world: World) -> None:
    check_schedules(world, SOAK_SCHEDULES)
