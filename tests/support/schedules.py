"""Random schedules of publishing, reading and breaking, and readers that check the promise.

Each event comes once and in order on its topic, or a `reset` tells of the gap.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.events import TopicName, log_key
from api.events.live import doorbell
from api.services import Services
from tests.support.asgi_reader import AsgiConnection
from tests.support.ledger import Ledger
from tests.support.sse_parser import SseParser

TOPICS = 3
READERS = 2
INSTANCES = 3

reader = st.integers(0, READERS - 1)
topic = st.integers(0, TOPICS - 1)
instance = st.integers(0, INSTANCES - 1)
topics = st.sets(topic, min_size=1)
mode = st.sampled_from(["stream", "stream", "stream", "window", "poll"])
size = st.sampled_from([10, 10, 10, 40_000])
STEPS: Mapping[str, st.SearchStrategy[Any]] = {
    "publish": st.tuples(st.just("publish"), topic, st.integers(1, 6), size),
    "squeeze": st.tuples(st.just("squeeze"), topic, st.integers(2, 6), st.integers(0, 2)),
    "connect": st.tuples(st.just("connect"), reader, instance, topics, mode),
    "read": st.tuples(st.just("read"), reader, st.integers(1, 4000) | st.none()),
    "cut": st.tuples(st.just("cut"), reader, st.integers(0, 3000)),
    "trim": st.tuples(st.just("trim"), topic, st.integers(0, 3)),
    "expire": st.tuples(st.just("expire"), topic),
    "pause": st.tuples(st.just("pause"), st.integers(1, 3)),
    "restart": st.tuples(st.just("restart"), instance),
    "overtake": st.tuples(st.just("overtake"), reader, topic, st.integers(1, 3)),
}
Plan = list[tuple[Any, ...]]


class Server(Protocol):
    """An ASGI application that readers connect to."""

    @property
    def app(self) -> Callable[..., Any]: ...

    def token(self) -> str: ...


class Cluster(Protocol):
    """The servers of all schedules, and their store.

    `services` are those of a process that only publishes. The second of `streaming` is slow.
    """

    runner: asyncio.Runner
    numbers: itertools.count[int]

    @property
    def services(self) -> Services: ...

    @property
    def streaming(self) -> Sequence[Server]: ...

    @property
    def buffered(self) -> Server: ...

    async def restart(self, number: int) -> None: ...


def check_schedules(cluster: Cluster, count: int, steps: Sequence[st.SearchStrategy[Any]]) -> None:
    """Run `count` schedules of `steps`. One that fails is made smaller and printed."""

    @settings(
        max_examples=count,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    @given(st.lists(st.one_of(*steps), min_size=3, max_size=30))
    def each_event_once_and_in_order_or_reset(plan: Plan) -> None:
        cluster.runner.run(Example(cluster).perform(plan))

    each_event_once_and_in_order_or_reset()


class Example:
    """One schedule: new topics, what was published on them, and the readers."""

    def __init__(self, cluster: Cluster) -> None:
        number = next(cluster.numbers)
        self.cluster = cluster
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
        """Publish events and trim them in one transaction, so that no poll comes between."""
        name = self.names[index]
        entry = json.dumps({"type": "tick", "data": "squeezed"})
        commands: list[list[str | int]] = [["XADD", log_key(name), "*", "e", entry]] * count
        commands.append(["XTRIM", log_key(name), "MAXLEN", keep])
        self.begun[name] += count
        results = await self.cluster.services.redis.transaction(commands)
        self.published[name] += results[:count]

    async def do_connect(self, at: int, number: int, wanted: set[int], mode: str) -> None:
        await self.readers[at].connect(number, wanted, mode)

    async def do_overtake(self, at: int, index: int, count: int) -> None:
        """Connect to the slow instance after events that it has not polled yet."""
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
        await self.cluster.services.redis.write("XTRIM", log_key(self.names[index]), "MAXLEN", keep)

    async def do_expire(self, index: int) -> None:
        await self.cluster.services.redis.write("DEL", log_key(self.names[index]))

    async def do_pause(self, count: int) -> None:
        await asyncio.sleep(0.01 * count)

    async def do_restart(self, number: int) -> None:
        await self.cluster.restart(number)

    async def publish(self, name: TopicName, text: str) -> str:
        """Publish as another process would: into the log, and with a wake-up."""
        entry = json.dumps({"type": "tick", "data": text})
        log = self.cluster.services.streaming.log
        self.begun[name] += 1
        (event_id,) = await log.append([(name, entry)], also=doorbell.wake_up_commands([name]))
        assert not isinstance(event_id, Exception)
        self.published[name].append(str(event_id))
        return str(event_id)


class Reader:
    """One client that always resumes after its last event id."""

    def __init__(self, example: Example) -> None:
        self.example = example
        self.ledger = Ledger(example.published, example.begun)
        self.cursor = ""
        self.topics: list[TopicName] = []
        self.connection: AsgiConnection | None = None
        self._parser = SseParser()

    async def connect(self, number: int, wanted: set[int], mode: str) -> None:
        await self.disconnect()
        cluster = self.example.cluster
        self.topics = sorted(self.example.names[index] for index in wanted)
        self.ledger.subscribe(set(self.topics))
        target = cluster.buffered if mode == "window" else cluster.streaming[number]
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
        """Read, and reconnect, until the last event of each topic has come."""
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
