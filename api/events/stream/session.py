"""One response that is held open, whoever feeds it: ended in time, aborted when it is stuck."""

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from api.events.delivery.connection import Connection, Send
from api.events.live.hub import Hub
from api.events.log.topic_log import TopicLog
from api.events.reasons import CloseReason
from api.events.stream.deadline import Deadline
from api.events.stream.open_streams import OpenStreams
from api.telemetry.metrics import Metrics

GRACE_S = 30.0

Receive = Callable[[], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Streaming:
    """What every stream of a process needs."""

    hub: Hub
    log: TopicLog
    open_streams: OpenStreams
    metrics: Metrics
    retry_ms: int
    clock: Callable[[], float]
    rng: random.Random

    def pause_ms(self) -> int:
        """A jittered `retry:`, half to one and a half times the middle, never below 1 s."""
        return max(1000, int(self.retry_ms * self.rng.uniform(0.5, 1.5)))


class Session(ABC):
    """The life of a response behind its head. Subclasses say what it is fed with.

    A buffered answer may be late by `patience_s`.
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

    @abstractmethod
    async def _feed(self, connection: Connection) -> None:
        """Send the first bytes, and see to it that more follow. Must not raise."""

    @abstractmethod
    def _closed(self, connection: Connection) -> None:
        """Let go of the connection, whatever has come of it."""

    async def run(self, receive: Receive, send: Send) -> None:
        """Serve the stream behind the response's head; returns when the client is gone."""
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
            self._close(connection)
            await asyncio.wait([feeding])

    def _open(self, send: Send) -> Connection:
        """A connection that is kept alive; all that holds it is let go by `_closed`."""
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
        latest = self._ends_at + patience_s
        timers = [loop.call_at(latest, connection.end, deadline.reason)]
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


async def until_gone(receive: Receive) -> None:
    """Wait for the client's end of the connection; ours, once we ended it, looks the same."""
    while (await receive())["type"] != "http.disconnect":
        pass
