"""One stream of topics, from its first byte to its `bye`."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import structlog

from api.events import sse
from api.events.catchup import Batch, Catchup, Newest
from api.events.cohort import View, encode_events, join
from api.events.connection import Connection, Send
from api.events.cursor import Cursor, CursorWriter
from api.events.deadline import Deadline
from api.events.event import Event, EventId
from api.events.held import HeldStream, StreamDesk
from api.events.sse import CloseReason
from api.events.topic import TopicName
from api.problems import RateLimited
from api.security.rates import Charge, free
from api.upstash import RedisError

LOOK_UP_S = 1.0
RETRY_S = (0.2, 5.0)
REPLAY_PATIENCE_S = 4.0

T = TypeVar("T")
log = structlog.get_logger()


class _EndedError(Exception):
    """The stream ended while something was being prepared for it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a client asked for. `cursor` None starts now, with `history` newest events.

    Which events these are is up to `newest`; None means the newest of the log. `charge` is
    told how many topics have to be begun for it.
    """

    view: View
    cursor: Cursor | None
    history: int
    newest: Newest | None = None
    charge: Charge = free


class StreamSession(HeldStream):
    """Reads what the client missed, then joins it to the hub, and waits for the end."""

    patience_s = REPLAY_PATIENCE_S

    def __init__(
        self,
        desk: StreamDesk,
        reading: Reading,
        *,
        deadline: Deadline,
        expires_at: float | None,
    ) -> None:
        super().__init__(desk, deadline, named=reading.view.named, expires_at=expires_at)
        self._reading = reading

    def _open(self, send: Send) -> Connection:
        connection = super()._open(send)
        self._desk.hub.watch(self._reading.view.topics)
        if self._reading.cursor is not None:
            self._desk.metrics.resumes.inc()
        return connection

    def _closed(self, connection: Connection) -> None:
        topics = self._reading.view.topics
        self._desk.hub.leave(connection)
        self._desk.hub.unwatch(topics)
        log.debug("stream.closed", topic_count=len(topics), reason=connection.ended)

    async def _feed(self, connection: Connection) -> None:
        """Send what was missed, then join the hub without a hole or a repeat."""
        try:
            await self._replay(connection)
        except _EndedError:
            return
        except RateLimited as error:
            # A status would close an EventSource for good, so it is told when to come back.
            pause_ms = error.retry_after_s * 1000 + self._desk.pause_ms()
            connection.end(CloseReason.ROTATE, retry_ms=pause_ms)
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
            charge=self._reading.charge,
        )
        start, history = await self._patiently(connection, catchup.begin)
        writer = CursorWriter(start)
        await self._send(connection, [self._connected(writer)])
        frames = self._history(history, writer, catchup.positions)
        has_sent = await self._send(connection, frames)
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

    def _history(
        self, events: Sequence[Event], writer: CursorWriter, ends: Mapping[TopicName, EventId]
    ) -> list[bytes]:
        """The frames of the past. A chosen one has nowhere to go on from before its end."""
        if self._reading.newest is None:
            return self._encoded(events, writer)
        named, last = self._reading.view.named, len(events) - 1
        frames = []
        for number, event in enumerate(events):
            if number == last:
                for topic, end in ends.items():
                    writer.move(topic, end)
            frames.append(sse.event_frame(event, writer.text(), named=named))
        self._desk.metrics.delivered.inc(len(frames))
        return frames

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
