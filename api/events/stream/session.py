"""The life of one stream, from the head of the response to its `bye`.

`Session` is what all streams have in common: timers, keep-alives and the end. `TopicSession` is a
stream of topics: it sends what the client missed, and then the hub feeds the connection.
"""

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from api.events.cursor import CursorWriter
from api.events.delivery import sse
from api.events.delivery.connection import Connection, Send
from api.events.event import Event, EventId
from api.events.live.catch_up import Batch, CatchUp
from api.events.live.hub import Hub
from api.events.log.topic_log import TopicLog
from api.events.read_request import ReadRequest
from api.events.reasons import CloseReason
from api.events.stream.deadline import Deadline
from api.events.stream.open_streams import OpenStreams
from api.events.topic import TopicName
from api.problems import RateLimited
from api.retry import growing_pauses
from api.telemetry.metrics import Metrics
from api.upstash import RedisError

GRACE_S = 30.0  # for a reader to take the last frame
LOOK_AGAIN_S = 1.0  # the longest wait for the poller before the log is read again
RETRY_S = (0.2, 5.0)  # shortest and longest pause between attempts to read from Redis
REPLAY_PATIENCE_S = 4.0  # for a buffered answer to send events that were missed

Receive = Callable[[], Awaitable[Any]]  # the function `receive` of ASGI
T = TypeVar("T")
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Streaming:
    """What all streams of a process share. `clock` returns seconds since 1970.

    `retry_ms` is the usual pause before a client comes back, in milliseconds.
    """

    hub: Hub
    log: TopicLog
    open_streams: OpenStreams
    metrics: Metrics
    retry_ms: int
    clock: Callable[[], float]
    rng: random.Random

    def pause_ms(self) -> int:
        """Return a `retry:` in ms: `retry_ms` with up to half of it as jitter, at least 1000."""
        return max(1000, int(self.retry_ms * self.rng.uniform(0.5, 1.5)))


class Session(ABC):
    """The life of one stream after the head of its response. Subclasses say what is sent.

    It ends at the deadline, or at `expires_at` (seconds since 1970, when the caller's token
    expires; None is never) if that is earlier. A buffered answer may be late by `patience_s`
    seconds.
    """

    patience_s = 0.0

    def __init__(
        self, streaming: Streaming, deadline: Deadline, *, named: bool, expires_at: float | None
    ) -> None:
        self._streaming = streaming
        self._deadline = deadline
        self._named = named
        self._expires_at = expires_at
        self._is_aborted = False
        self._loop = asyncio.get_running_loop()
        self._ends_at = self._loop.time() + deadline.lifetime_s

    async def run(self, receive: Receive, send: Send) -> None:
        """Serve the stream until the client has disconnected, also after `bye` was sent."""
        connection = self._open(send)
        timers = self._timers(connection)
        feeding = self._loop.create_task(self._feed(connection))
        try:
            await until_gone(receive)
        except asyncio.CancelledError:
            if not self._is_aborted:
                raise
        finally:
            for timer in timers:
                timer.cancel()
            feeding.cancel()
            # Before the task is waited for: that lets other tasks run, and none of them may
            # send to this connection any more.
            self._close(connection)
            await asyncio.wait([feeding])

    @abstractmethod
    async def _feed(self, connection: Connection) -> None:
        """Send the first bytes and arrange for the rest. Runs in its own task; must not raise."""

    @abstractmethod
    def _closed(self, connection: Connection) -> None:
        """Undo what `_open` did. Called once, when the stream has ended."""

    def _open(self, send: Send) -> Connection:
        """Return a connection that is kept alive; `_closed` undoes what a subclass adds."""
        streaming = self._streaming
        connection = Connection(
            send,
            named=self._named,
            one_batch=self._deadline.one_batch,
            retry_ms=streaming.pause_ms,
            abort=self._aborter(),
            grace_s=GRACE_S,
        )
        streaming.open_streams.add(connection)
        streaming.metrics.connects.inc()
        return connection

    def _close(self, connection: Connection) -> None:
        streaming = self._streaming
        connection.drop()
        self._closed(connection)
        streaming.open_streams.remove(connection)
        streaming.metrics.ends.labels(connection.ended or CloseReason.GONE).inc()

    def _timers(self, connection: Connection) -> Sequence[asyncio.TimerHandle]:
        loop, deadline = self._loop, self._deadline
        patience_s = self.patience_s if deadline.one_batch else 0.0
        timers = [loop.call_at(self._ends_at + patience_s, connection.end, deadline.reason)]
        if self._expires_at is not None:
            left_s = max(0.0, self._expires_at - self._streaming.clock())
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


class TopicSession(Session):
    """A stream of topics: sends what the client missed, then lets the hub feed the connection."""

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
            # A backlog is sent even if it is late; but nothing is waited for after the deadline.
            self._loop.call_at(self._ends_at, connection.end, self._deadline.reason)

    async def _replay(self, connection: Connection) -> None:
        """Send what was missed until the reader stands where the hub does; then add it there.

        Raises `_EndedError` if the stream ends meanwhile.
        """
        streaming, selection = self._streaming, self._request.selection
        await connection.push(sse.opening(streaming.pause_ms()))
        catch_up = CatchUp(streaming.hub, streaming.log, self._request)
        start, history = await self._patiently(connection, catch_up.begin)
        writer = CursorWriter(start)
        await self._send(connection, [self._connected(writer)])
        frames = self._history(history, writer, catch_up.positions)
        has_sent = await self._send(connection, frames)
        while True:
            # Taken before the step: what moves the hub during the step must not be waited for.
            movement = streaming.hub.movement
            batch = await self._patiently(connection, catch_up.step)
            if batch is not None:
                has_sent |= await self._send(connection, self._frames(batch, writer))
            elif self._deadline.one_batch and has_sent:
                connection.end(CloseReason.DEADLINE)
                return
            elif streaming.hub.is_level(catch_up.positions):
                # No `await` since the check: the hub cannot have moved in between, so the
                # reader neither misses an event nor gets one twice.
                streaming.hub.feed(connection, selection, catch_up.positions)
                return
            else:  # the log was read further than the poller has come
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_AGAIN_S):
                        await movement.wait()

    def _connected(self, writer: CursorWriter) -> bytes:
        return sse.connected(
            self._request.topics,
            cursor=writer.text(),
            time=EventId(int(self._streaming.clock() * 1000), 0).time,
            keep_alive_s=self._streaming.open_streams.keep_alive_s,
            named=self._named,
        )

    def _history(
        self, events: Sequence[Event], writer: CursorWriter, ends: Mapping[TopicName, EventId]
    ) -> list[bytes]:
        """Encode the history. If a feature chose it, only the last frame moves the cursor."""
        if self._request.newest is None or not events:
            return self._encoded(events, writer)
        start = writer.text()
        for topic, end in ends.items():
            writer.move(topic, end)
        cursors = [*[start] * (len(events) - 1), writer.text()]
        pairs = zip(events, cursors, strict=True)
        self._streaming.metrics.delivered.inc(len(events))
        return [sse.event_frame(event, cursor, named=self._named) for event, cursor in pairs]

    def _frames(self, batch: Batch, writer: CursorWriter) -> list[bytes]:
        frames = [
            sse.reset(topic, head, reason, writer, named=self._named)
            for topic, (head, reason) in batch.restarts.items()
        ]
        self._streaming.metrics.resets.inc(len(frames))
        return frames + self._encoded(batch.events, writer)

    def _encoded(self, events: Sequence[Event], writer: CursorWriter) -> list[bytes]:
        frames = sse.event_frames(self._request.selection, events, writer)
        self._streaming.metrics.delivered.inc(len(frames))
        return frames

    async def _send(self, connection: Connection, frames: Sequence[bytes]) -> bool:
        """Push the frames; returns whether there were any. Raises `_EndedError`."""
        for chunk in sse.chunks_of(frames):
            await connection.push(chunk)
        if connection.ended:
            raise _EndedError
        return bool(frames)

    async def _patiently(self, connection: Connection, call: Callable[[], Awaitable[T]]) -> T:
        """Return what `call` does; repeat it while Redis fails, with the stream kept open."""
        pauses = growing_pauses(*RETRY_S, self._streaming.rng)
        say = log.warning
        while not connection.ended:
            try:
                return await call()
            except RedisError as error:
                say("stream.waits_for_store", error=type(error).__name__)
                say = log.debug  # once is enough
            await asyncio.sleep(next(pauses))
        raise _EndedError


class _EndedError(Exception):
    """The stream ended while something was being prepared for it."""


async def until_gone(receive: Receive) -> None:
    """Return when the connection is closed, by the client or after our last frame."""
    while (await receive())["type"] != "http.disconnect":
        pass
