"""One open response and the sends to it, most of which need no task.

Waking a task for each reader and event costs as much as the write itself. A send is therefore first
run without a task: if the server takes the bytes at once, it is done. Only a send that has to wait
for its reader gets a task, which then sends from the cohort's backlog until the connection is
level.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from types import CoroutineType, coroutine
from typing import Any, Protocol

from api.events.delivery import sse
from api.events.delivery.backlog import Backlog, Overrun
from api.events.reasons import CloseReason

Message = Mapping[str, Any]
"""A message of ASGI, as a mapping."""
Send = Callable[[Any], Awaitable[None]]
"""The function `send` of ASGI, which takes one message."""


class ChunkSource(Protocol):
    """What gives a connection its chunks: its cohort, as far as the connection knows it."""

    @property
    def backlog(self) -> Backlog:
        """The chunks that some member has not been sent yet."""

    def cursor(self) -> bytes:
        """Return the cursor after the last chunk."""

    def fell_behind(self, connection: "Connection") -> None:
        """Keep chunks in the backlog for this connection: its last send waits for the reader."""

    def caught_up(self, connection: "Connection") -> None:
        """Keep no more chunks for this connection: it has been sent all of the backlog."""


def body_message(chunk: bytes, *, more: bool = True) -> Message:
    """Return the ASGI message that sends `chunk`. It may be sent to any number of connections.

    `more` False says that the response ends after it.
    """
    return {"type": "http.response.body", "body": chunk, "more_body": more}


KEEP_ALIVE = body_message(sse.KEEP_ALIVE)


@coroutine
def _finish(started: Coroutine[Any, Any, None], waiting: Any) -> Generator[Any, Any, None]:
    """Continue, in a task, a coroutine that was started without one and yielded `waiting`."""
    try:
        while True:
            try:
                value = yield waiting
            except BaseException as error:  # noqa: BLE001  # every exception is passed on
                waiting = started.throw(error)
            else:
                waiting = started.send(value)
    except StopIteration:
        return


async def _awaited(awaitable: Awaitable[None]) -> None:
    await awaitable


class Connection:
    """One open response after its head was sent: what is sent to it, and how it ends.

    `feed` is its cohort; None until it is added to one. `seq` is the number of the chunk of the
    feed that it gets next. `is_idle` is true while nothing is being sent and more may be. `named`
    says whether frames have `event:` lines. `one_batch` ends the stream after its first events (a
    buffered answer). `ended` is the reason of its end; None while it is open.

    `retry_ms()` returns the usual pause before a client comes back, in milliseconds. `abort()` is
    called if the reader does not take the last frame within `grace_s` seconds.
    """

    __slots__ = (
        "_abort",
        "_ending",
        "_loop",
        "_pause_ms",
        "_retry_ms",
        "_send",
        "_task",
        "ended",
        "feed",
        "grace_s",
        "is_idle",
        "named",
        "one_batch",
        "seq",
    )

    def __init__(
        self,
        send: Send,
        *,
        named: bool,
        one_batch: bool,
        retry_ms: Callable[[], int],
        abort: Callable[[], None],
        grace_s: float,
    ) -> None:
        self._send = send
        self._retry_ms = retry_ms
        self._abort = abort
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._ending: CloseReason | None = None
        self._pause_ms: int | None = None
        self.named = named
        self.one_batch = one_batch
        self.grace_s = grace_s
        self.feed: ChunkSource | None = None
        self.seq = 0
        self.ended: CloseReason | None = None
        self.is_idle = True

    def offer(self, message: Message) -> None:
        """Send one chunk, as the ASGI message of `body_message`. Call it only while `is_idle`.

        It must be the chunk that follows the last one: `seq` counts them. If the reader does not
        take it at once, the connection lags, and sends what follows from the backlog by itself.
        """
        self.seq += 1
        self._write(message)
        if self.one_batch:
            self.end(CloseReason.DEADLINE)

    def keep_alive(self) -> None:
        """Send a comment, unless something is being sent. It shows that the stream is alive."""
        if self.is_idle:
            self._write(KEEP_ALIVE)

    def end(self, reason: CloseReason, *, retry_ms: int | None = None) -> None:
        """Send `bye` with `reason` and end the response, after the send that is under way, if any.

        The client is told to come back after `retry_ms` milliseconds; None means the usual pause.
        Only the first call has an effect.
        """
        if self.ended or self._ending:
            return
        self._ending = reason
        self._pause_ms = retry_ms
        if self._task is None:
            self._say_bye()
        if self._task is not None:
            self._loop.call_later(self.grace_s, self._give_up)

    def finish(self) -> None:
        """End the response after what was sent, without `bye`, because nothing will ever follow.

        Does nothing if the connection has ended or is about to end.
        """
        if self.ended or self._ending:
            return
        self.ended = CloseReason.COMPLETE
        self.is_idle = False
        self._write(body_message(b"", more=False))

    async def push(self, chunk: bytes) -> None:
        """Send `chunk` to a connection that has no feed yet.

        Return when the server has taken the bytes.

        Does nothing if the connection has ended.
        """
        await self._all_sent()  # a keep-alive may be waiting
        if self.ended is None:
            self._write(body_message(chunk))
            await self._all_sent()

    async def _all_sent(self) -> None:
        # A loop: after its send the task may have sent `bye`, which is a task of its own.
        while (task := self._task) is not None:
            await asyncio.wait([task])

    def drop(self) -> None:
        """Mark the connection as ended and cancel the send that is under way. Nothing more is sent.

        Called when the client has closed the connection, or when its session is over.
        """
        self.ended = self.ended or self._ending or CloseReason.GONE
        self.is_idle = False
        if self._task is not None:
            self._task.cancel()
            self._task = None  # a task that never began does not run its `finally` either

    def _write(self, message: Message) -> None:
        """Send at once what the server takes at once; leave the rest to a task."""
        sending = self._send(message)
        if type(sending) is not CoroutineType:  # a server whose send is another awaitable
            sending = _awaited(sending)
        try:
            waiting = sending.send(None)
        except StopIteration:
            return
        except Exception:  # noqa: BLE001  # a server may raise anything for a client that left
            self.drop()
            return
        self.is_idle = False
        self._task = self._loop.create_task(self._catch_up(_finish(sending, waiting)))
        if self.feed:
            self.feed.fell_behind(self)

    async def _catch_up(self, started: Awaitable[None]) -> None:
        try:
            await started
            await self._drain_backlog()
        except Overrun:
            self._ending = self._ending or CloseReason.OVERFLOW
        except Exception:  # noqa: BLE001  # as in _write
            self.drop()
        finally:
            # No `await` since the drain found nothing more: a chunk that came in between would
            # neither be drained nor be offered to a connection that is not idle.
            self._task = None
            self.is_idle = self.ended is None
        if self.ended:
            return
        if self._ending:
            self._say_bye()
        elif self.feed:
            self.feed.caught_up(self)

    async def _drain_backlog(self) -> None:
        while self.feed and not self._ending and self.seq < self.feed.backlog.next:
            chunk, self.seq = self.feed.backlog.take(self.seq, sse.CHUNK_BYTES)
            await self._send(body_message(chunk))

    def _say_bye(self) -> None:
        self.ended = reason = self._ending or CloseReason.ROTATE
        self.is_idle = False
        # The feed's cursor is after all chunks. For a reader that has not been sent all of them
        # it would skip the others: that one keeps the id of the last event it was sent.
        is_level = self.feed is not None and self.seq == self.feed.backlog.next
        cursor = self.feed.cursor() if self.feed and is_level else None
        pause_ms = self._retry_ms() if self._pause_ms is None else self._pause_ms
        frame = sse.bye(reason, pause_ms, cursor=cursor, named=self.named)
        self._write(body_message(frame, more=False))

    def _give_up(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._abort()
