"""One stream of topics, from its first byte to its `bye`."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar

import structlog

from api.events.cursor import CursorWriter
from api.events.delivery import sse
from api.events.delivery.cohort import chunks_of, encode_events
from api.events.delivery.connection import Connection, Send
from api.events.event import Event, EventId
from api.events.live.catch_up import Batch, CatchUp
from api.events.read_request import ReadRequest
from api.events.reasons import CloseReason
from api.events.stream.deadline import Deadline
from api.events.stream.session import Session, Streaming
from api.events.topic import TopicName
from api.problems import RateLimited
from api.upstash import RedisError

LOOK_UP_S = 1.0
RETRY_S = (0.2, 5.0)
REPLAY_PATIENCE_S = 4.0

T = TypeVar("T")
log = structlog.get_logger()


class _EndedError(Exception):
    """The stream ended while something was being prepared for it."""


class TopicSession(Session):
    """Reads what the client missed, then joins it to the hub, and waits for the end."""

    patience_s = REPLAY_PATIENCE_S

    def __init__(
        self,
        streaming: Streaming,
        request: ReadRequest,
        *,
        deadline: Deadline,
        expires_at: float | None,
    ) -> None:
        super().__init__(streaming, deadline, named=request.selection.named, expires_at=expires_at)
        self._request = request

    def _open(self, send: Send) -> Connection:
        connection = super()._open(send)
        self._streaming.hub.watch(self._request.topics)
        if self._request.cursor is not None:
            self._streaming.metrics.resumes.inc()
        return connection

    def _closed(self, connection: Connection) -> None:
        topics = self._request.topics
        self._streaming.hub.drop(connection)
        self._streaming.hub.unwatch(topics)
        log.debug("stream.closed", topic_count=len(topics), reason=connection.ended)

    async def _feed(self, connection: Connection) -> None:
        """Send what was missed, then join the hub without a hole or a repeat."""
        try:
            await self._replay(connection)
        except _EndedError:
            return
        except RateLimited as error:
            # A status would close an EventSource for good, so it is told when to come back.
            pause_ms = error.retry_after_s * 1000 + self._streaming.pause_ms()
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
        streaming, selection = self._streaming, self._request.selection
        await connection.push(sse.opening(streaming.pause_ms()))
        catch_up = CatchUp(streaming.hub, streaming.log, self._request)
        start, history = await self._patiently(connection, catch_up.begin)
        writer = CursorWriter(start)
        await self._send(connection, [self._connected(writer)])
        frames = self._history(history, writer, catch_up.positions)
        has_sent = await self._send(connection, frames)
        while True:
            movement = streaming.hub.movement
            batch = await self._patiently(connection, catch_up.step)
            if batch is not None:
                has_sent |= await self._send(connection, self._frames(batch, writer))
            elif self._deadline.one_batch and has_sent:
                connection.end(CloseReason.DEADLINE)
                return
            elif streaming.hub.is_level(catch_up.positions):
                streaming.hub.feed(connection, selection, catch_up.positions)
                return
            else:  # the log was read further than the poller has come
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_UP_S):
                        await movement.wait()

    def _history(
        self, events: Sequence[Event], writer: CursorWriter, ends: Mapping[TopicName, EventId]
    ) -> list[bytes]:
        """The frames of the past. A chosen one has nowhere to go on from before its end."""
        if self._request.newest is None:
            return self._encoded(events, writer)
        named, last = self._request.selection.named, len(events) - 1
        frames = []
        for number, event in enumerate(events):
            if number == last:
                for topic, end in ends.items():
                    writer.move(topic, end)
            frames.append(sse.event_frame(event, writer.text(), named=named))
        self._streaming.metrics.delivered.inc(len(frames))
        return frames

    def _connected(self, writer: CursorWriter) -> bytes:
        return sse.connected(
            self._request.topics,
            cursor=writer.text(),
            time=EventId(int(self._streaming.clock() * 1000), 0).time,
            keep_alive_s=self._streaming.open_streams.keep_alive_s,
            named=self._request.selection.named,
        )

    def _frames(self, batch: Batch, writer: CursorWriter) -> list[bytes]:
        selection = self._request.selection
        frames = []
        for topic, (head, reason) in batch.restarts.items():
            writer.move(topic, head)
            data = sse.reset_data([topic], reason)
            frames.append(
                sse.control_frame("reset", data, cursor=writer.text(), named=selection.named)
            )
            self._streaming.metrics.resets.inc()
        return frames + self._encoded(batch.events, writer)

    def _encoded(self, events: Sequence[Event], writer: CursorWriter) -> list[bytes]:
        frames = encode_events(self._request.selection, events, writer)
        self._streaming.metrics.delivered.inc(len(frames))
        return frames

    async def _send(self, connection: Connection, frames: Sequence[bytes]) -> bool:
        """Push frames as they fit; whether there were any."""
        for chunk in chunks_of(frames):
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
            await asyncio.sleep(pause * self._streaming.rng.uniform(0.5, 1.5))
            pause = min(longest, pause * 2)
        raise _EndedError
