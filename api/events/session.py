"""One held stream, from its first byte to its `bye`."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from api.events import sse
from api.events.catchup import Batch, Catchup, Newest
from api.events.cohort import View, encode_events, join
from api.events.connection import Connection, Send
from api.events.cursor import Cursor, CursorWriter
from api.events.deadline import Deadline
from api.events.event import Event, EventId
from api.events.hub import Hub
from api.events.log import TopicLog
from api.events.sse import CloseReason
from api.events.streams import OpenStreams
from api.telemetry.metrics import Metrics
from api.upstash import RedisError

LOOK_UP_S = 1.0
RETRY_S = (0.2, 5.0)
GRACE_S = 30.0
REPLAY_PATIENCE_S = 4.0

T = TypeVar("T")
Receive = Callable[[], Awaitable[Any]]
log = structlog.get_logger()


class _EndedError(Exception):
    """The stream ended while something was being prepared for it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a client asked for. `cursor` None starts now, with `history` newest events.

    Which events these are is up to `newest`; None means the newest of the log.
    """

    view: View
    cursor: Cursor | None
    history: int
    newest: Newest | None = None


@dataclass(frozen=True, slots=True)
class StreamDesk:
    """What every stream of a process needs."""

    hub: Hub
    log: TopicLog
    streams: OpenStreams
    metrics: Metrics
    retry_ms: int
    clock: Callable[[], float]
    rng: random.Random

    def pause_ms(self) -> int:
        """A jittered `retry:`, half to one and a half times the middle, never below 1 s."""
        return max(1000, int(self.retry_ms * self.rng.uniform(0.5, 1.5)))


class StreamSession:
    """Reads what the client missed, then joins it to the hub, and waits for the end."""

    def __init__(
        self,
        desk: StreamDesk,
        reading: Reading,
        *,
        deadline: Deadline,
        expires_at: float | None,
    ) -> None:
        self._desk = desk
        self._reading = reading
        self._deadline = deadline
        self._expires_at = expires_at
        self._is_aborted = False
        self._loop = asyncio.get_running_loop()
        self._ends_at = self._loop.time() + deadline.lifetime_s

    async def run(self, receive: Receive, send: Send) -> None:
        """Serve the stream behind the response's head; returns when the client is gone."""
        connection = self._opened(send)
        timers = self._timers(connection)
        catching_up = self._loop.create_task(self._catch_up(connection))
        try:
            await _until_gone(receive)
        except asyncio.CancelledError:
            if not self._is_aborted:
                raise
        finally:
            for timer in timers:
                timer.cancel()
            catching_up.cancel()
            self._closed(connection)
            await asyncio.wait([catching_up])

    def _opened(self, send: Send) -> Connection:
        """A connection that is kept alive; all that holds it is let go by `_closed`."""
        desk, view = self._desk, self._reading.view
        connection = Connection(
            send,
            named=view.named,
            one_batch=self._deadline.one_batch,
            retry_ms=desk.pause_ms,
            abort=self._aborter(),
            grace_s=GRACE_S,
        )
        desk.streams.add(connection)
        desk.hub.watch(view.topics)
        desk.metrics.connects.inc()
        if self._reading.cursor is not None:
            desk.metrics.resumes.inc()
        return connection

    def _closed(self, connection: Connection) -> None:
        desk, topics = self._desk, self._reading.view.topics
        desk.hub.leave(connection)
        desk.hub.unwatch(topics)
        desk.streams.remove(connection)
        desk.metrics.ends.labels(connection.ended or CloseReason.GONE).inc()
        log.debug("stream.closed", topic_count=len(topics), reason=connection.ended)

    def _timers(self, connection: Connection) -> Sequence[asyncio.TimerHandle]:
        loop, deadline = self._loop, self._deadline
        patience_s = REPLAY_PATIENCE_S if deadline.one_batch else 0.0
        latest = self._ends_at + patience_s
        timers = [loop.call_at(latest, connection.end, deadline.reason)]
        if self._expires_at is not None:
            left_s = max(0.0, self._expires_at - self._desk.clock())
            if left_s < deadline.lifetime_s:
                timers.append(loop.call_later(left_s, connection.end, CloseReason.UNAUTHORIZED))
        return timers

    def _aborter(self) -> Callable[[], None]:
        task = asyncio.current_task()

        def abort() -> None:
            self._is_aborted = True
            if task is not None:
                task.cancel()

        return abort

    async def _catch_up(self, connection: Connection) -> None:
        """Send what was missed, then join the hub without a hole or a repeat."""
        try:
            await self._replay(connection)
        except _EndedError:
            return
        except Exception:
            log.exception("stream.broken")
            connection.end(CloseReason.ROTATE)  # the client resumes from what it has
            return
        if self._deadline.one_batch:
            # Being late is no reason to withhold a backlog; holding on for more is.
            self._loop.call_at(self._ends_at, connection.end, self._deadline.reason)

    async def _replay(self, connection: Connection) -> None:
        desk, view = self._desk, self._reading.view
        await connection.push(sse.opening(desk.pause_ms()))
        catchup = Catchup(
            desk.hub,
            desk.log,
            view.topics,
            cursor=self._reading.cursor,
            history=self._reading.history,
            newest=self._reading.newest,
        )
        start, history = await self._patiently(connection, catchup.begin)
        writer = CursorWriter(start)
        await self._send(connection, [self._connected(writer)])
        has_sent = await self._send(connection, self._encoded(history, writer))
        while True:
            movement = desk.hub.movement
            batch = await self._patiently(connection, catchup.step)
            if batch is not None:
                has_sent |= await self._send(connection, self._frames(batch, writer))
            elif self._deadline.one_batch and has_sent:
                connection.end(CloseReason.DEADLINE)
                return
            elif desk.hub.is_level(catchup.positions):
                desk.hub.join(connection, view, catchup.positions)
                return
            else:  # the log was read further than the poller has come
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_UP_S):
                        await movement.wait()

    def _connected(self, writer: CursorWriter) -> bytes:
        return sse.connected(
            self._reading.view.topics,
            cursor=writer.text(),
            time=EventId(int(self._desk.clock() * 1000), 0).time,
            keep_alive_s=self._desk.streams.keep_alive_s,
            named=self._reading.view.named,
        )

    def _frames(self, batch: Batch, writer: CursorWriter) -> list[bytes]:
        view = self._reading.view
        frames = []
        for topic, (head, reason) in batch.restarts.items():
            writer.move(topic, head)
            data = sse.reset_data([topic], reason)
            frames.append(sse.control_frame("reset", data, cursor=writer.text(), named=view.named))
            self._desk.metrics.resets.inc()
        return frames + self._encoded(batch.events, writer)

    def _encoded(self, events: Sequence[Event], writer: CursorWriter) -> list[bytes]:
        frames = encode_events(self._reading.view, events, writer)
        self._desk.metrics.delivered.inc(len(frames))
        return frames

    async def _send(self, connection: Connection, frames: Sequence[bytes]) -> bool:
        """Push frames as they fit; whether there were any."""
        for chunk in join(frames):
            await connection.push(chunk)
        if connection.ended:
            raise _EndedError
        return bool(frames)

    async def _patiently(self, connection: Connection, call: Callable[[], Awaitable[T]]) -> T:
        """The result of `call`, however long Redis is away: the stream stays up meanwhile."""
        pause, longest = RETRY_S
        say = log.warning
        while not connection.ended:
            try:
                return await call()
            except RedisError as error:
                say("stream.waits_for_store", error=type(error).__name__)
                say = log.debug  # once is enough
            await asyncio.sleep(pause * self._desk.rng.uniform(0.5, 1.5))
            pause = min(longest, pause * 2)
        raise _EndedError


async def _until_gone(receive: Receive) -> None:
    """Wait for the client's end of the connection; ours, once we ended it, looks the same."""
    while (await receive())["type"] != "http.disconnect":
        pass
