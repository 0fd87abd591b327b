"""One response: what is sent at once, what has to wait, and how it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import pytest

from api.events.delivery.connection import Connection, body_message
from api.events.delivery.sse import KEEP_ALIVE
from api.events.reasons import CloseReason
from tests.support.leap_loop import leaping, turns
from tests.unit.events.fakes import FakeFeed, FakeSend, connect


def fed(sent: FakeSend, **options: Any) -> tuple[Connection, FakeFeed]:
    connection, feed = connect(sent, **options), FakeFeed()
    connection.feed = feed
    return connection, feed


def offer(connection: Connection, feed: FakeFeed, chunk: bytes) -> None:
    """Send a chunk as a cohort does."""
    feed.backlog.append(chunk)
    if connection.is_idle:
        connection.offer(body_message(chunk))


def reason_of(sent: FakeSend) -> str:
    bye = sent.frames[-1]
    assert bye.event == "bye"
    return str(json.loads(bye.data)["reason"])


@leaping
async def test_a_send_that_takes_the_bytes_needs_no_turn_of_the_loop():
    """That is what makes a fan-out to many connections cheap."""
    sent = FakeSend()
    connection, feed = fed(sent)

    offer(connection, feed, b"one")

    assert sent.chunks == [b"one"]
    assert connection.is_idle
    assert connection.seq == 1


@leaping
async def test_a_send_that_waits_goes_on_by_itself():
    """Then it takes all that the backlog holds, in one piece."""
    sent = FakeSend()
    connection, feed = fed(sent)
    sent.stall()
    for chunk in [b"one", b"two", b"three"]:
        offer(connection, feed, chunk)
    assert feed.lagging == [connection]

    sent.go_on()
    await turns()

    assert sent.chunks == [b"one", b"twothree"]
    assert connection.is_idle
    assert feed.lagging == []
    assert connection.seq == 3


@leaping
async def test_a_send_may_be_any_awaitable():
    """Servers differ in what their `send` returns."""
    taken = []

    class Taking:
        def __await__(self) -> Generator[Any, None, None]:
            yield from asyncio.sleep(0).__await__()
            taken.append(self)

    def send(_: Any) -> Awaitable[None]:
        return Taking()

    connection = connect(send)
    connection.offer(body_message(b"x"))
    await turns()

    assert len(taken) == 1
    assert connection.is_idle


@leaping
async def test_a_send_that_raises_ends_the_connection():
    """A server may raise anything for a client that left; nobody else must notice."""
    sent = FakeSend()
    connection, feed = fed(sent)
    sent.broke(OSError("gone"))

    offer(connection, feed, b"one")

    assert connection.ended is CloseReason.GONE
    assert not connection.is_idle


@leaping
async def test_a_waiting_send_that_raises_ends_the_connection():
    """The same as above, for a send that has a task."""
    sent = FakeSend()
    connection, feed = fed(sent)
    sent.stall()
    offer(connection, feed, b"one")
    sent.broke(OSError("gone"))
    await turns()

    assert connection.ended is CloseReason.GONE
    assert sent.chunks == []


@leaping
async def test_a_waiting_send_that_is_cancelled_cleans_up():
    """The server's own `finally` runs when the client is gone."""
    cleaned = []

    async def send(_: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(True)

    connection = connect(send)
    connection.offer(body_message(b"x"))
    await turns(1)
    connection.drop()
    await turns()

    assert cleaned == [True]
    assert connection.ended is CloseReason.GONE


@leaping
async def test_a_keep_alive_is_a_comment():
    """It must not reach a handler of the client."""
    sent = FakeSend()
    fed(sent)[0].keep_alive()

    assert sent.chunks == [KEEP_ALIVE]


@leaping
async def test_a_connection_that_waits_gets_no_keep_alive():
    """It is not idle, and comments would only pile up."""
    sent = FakeSend()
    connection, feed = fed(sent)
    sent.stall()
    offer(connection, feed, b"one")
    connection.keep_alive()
    sent.go_on()
    await turns()

    assert sent.chunks == [b"one"]


@leaping
async def test_nothing_follows_the_end():
    """Neither a keep-alive nor a second `bye`."""
    sent = FakeSend()
    connection, _ = fed(sent)
    connection.end(CloseReason.ROTATE)
    connection.keep_alive()
    connection.end(CloseReason.SHUTDOWN)
    await connection.push(b"late")

    assert (reason_of(sent), len(sent.chunks)) == ("rotate", 1)


@leaping
async def test_who_is_level_gets_the_cursor_with_the_goodbye():
    """The cursor stands behind filtered events too."""
    sent = FakeSend()
    connection, feed = fed(sent)
    offer(connection, feed, b"data: x\nid: x\n\n")
    connection.end(CloseReason.ROTATE)

    assert sent.frames[-1].id == "cursor-1"
    assert sent.is_closed
    assert connection.ended is CloseReason.ROTATE


@leaping
async def test_who_is_not_level_keeps_its_own_id():
    """The cohort's cursor would skip the events that it was not sent."""
    sent = FakeSend()
    connection, feed = fed(sent)
    offer(connection, feed, b"data: x\nid: mine\n\n")
    feed.backlog.append(b"data: y\nid: other\n\n")
    connection.end(CloseReason.ROTATE)

    assert [frame.id for frame in sent.frames] == ["mine", "mine"]


@leaping
async def test_an_end_before_the_feed_has_no_cursor():
    """The reader was still catching up: a cursor would skip what it has not got."""
    sent = FakeSend()
    connect(sent).end(CloseReason.SHUTDOWN)

    assert (reason_of(sent), sent.frames[-1].id) == ("shutdown", "")


@leaping
async def test_an_end_waits_for_the_send_that_waits():
    """A `bye` inside another frame would spoil both; the resume brings the backlog."""
    sent = FakeSend()
    connection, feed = fed(sent)
    sent.stall()
    offer(connection, feed, b"data: x\nid: mine\n\n")
    feed.backlog.append(b"data: y\nid: other\n\n")
    connection.end(CloseReason.ROTATE)
    assert connection.ended is None
    sent.go_on()
    await turns()

    assert [frame.event for frame in sent.frames] == ["message", "bye"]
    assert sent.frames[-1].id == "mine"


@leaping
async def test_an_overrun_ends_with_overflow():
    """What the connection needs next is gone from the backlog."""
    sent = FakeSend()
    connection, feed = fed(sent)
    sent.stall()
    offer(connection, feed, b"data: x\nid: mine\n\n")
    feed.backlog.append(b"y" * 2000)
    feed.backlog.append(b"z")
    feed.backlog.trim()
    sent.go_on()
    await turns()

    assert (reason_of(sent), sent.frames[-1].id) == ("overflow", "mine")


@leaping
async def test_an_end_decided_before_an_overrun_keeps_its_reason():
    """The first reason is why the stream really ended."""
    sent = FakeSend()
    connection, feed = fed(sent)
    sent.stall()
    offer(connection, feed, b"data: x\n\n")
    connection.end(CloseReason.SHUTDOWN)
    feed.backlog.append(b"y" * 2000)
    feed.backlog.trim()
    sent.go_on()
    await turns()

    assert reason_of(sent) == "shutdown"


@leaping
async def test_who_does_not_take_its_goodbye_is_aborted_after_the_grace():
    """A client that reads nothing must not keep the stream open for ever."""
    aborted: list[float] = []
    loop = asyncio.get_running_loop()
    sent = FakeSend()
    connection, feed = fed(sent, grace_s=30, abort=lambda: aborted.append(loop.time()))
    sent.stall()
    offer(connection, feed, b"x")
    connection.end(CloseReason.ROTATE)
    await asyncio.sleep(29)
    assert aborted == []
    await asyncio.sleep(2)

    assert aborted == [30]
    assert sent.chunks == []


@leaping
async def test_a_goodbye_that_itself_has_to_wait_has_the_same_grace():
    """The socket may become full just at the `bye`."""
    aborted: list[bool] = []
    sent = FakeSend()
    connection, _ = fed(sent, grace_s=5, abort=lambda: aborted.append(True))
    sent.stall()
    connection.end(CloseReason.ROTATE)
    await asyncio.sleep(6)

    assert aborted == [True]


@leaping
async def test_who_takes_its_goodbye_in_time_is_not_aborted():
    """The timer of the grace period then does nothing."""
    aborted: list[bool] = []
    sent = FakeSend()
    connection, feed = fed(sent, grace_s=5, abort=lambda: aborted.append(True))
    sent.stall()
    offer(connection, feed, b"x")
    connection.end(CloseReason.ROTATE)
    sent.go_on()
    await asyncio.sleep(10)

    assert aborted == []
    assert reason_of(sent) == "rotate"


@leaping
async def test_a_buffered_answer_ends_behind_its_first_events():
    """Its `bye` has the cursor behind them."""
    sent = FakeSend()
    connection, feed = fed(sent, one_batch=True)
    offer(connection, feed, b"data: x\n\n")

    assert [frame.event for frame in sent.frames] == ["message", "bye"]
    assert sent.frames[-1].id == "cursor-1"
    assert reason_of(sent) == "deadline"


@leaping
async def test_a_push_waits_for_the_reader():
    """A replay is as fast as its reader, so it needs no memory."""
    sent = FakeSend()
    connection = connect(sent)
    sent.stall()
    pushing = asyncio.create_task(connection.push(b"one"))
    await turns()
    assert not pushing.done()
    sent.go_on()
    await pushing

    assert sent.chunks == [b"one"]


@leaping
async def test_a_push_follows_a_keep_alive_that_waits():
    """It must not be written into the middle of it."""
    sent = FakeSend()
    connection = connect(sent)
    sent.stall()
    connection.keep_alive()
    pushing = asyncio.create_task(connection.push(b"one"))
    await turns()
    sent.go_on()
    await pushing

    assert sent.chunks == [KEEP_ALIVE, b"one"]


@leaping
async def test_a_push_to_a_reader_that_left_returns():
    """The replay then sees that the stream has ended."""
    sent = FakeSend()
    connection = connect(sent)
    sent.stall()
    pushing = asyncio.create_task(connection.push(b"one"))
    await turns()
    connection.drop()
    await pushing

    assert sent.chunks == []


@pytest.mark.parametrize("finish", [Connection.drop, lambda one: one.end(CloseReason.ROTATE)])
def test_a_drop_keeps_the_reason_that_was_there_before(finish: Callable[[Connection], None]):
    """A client that closes after its `bye` did not end the stream."""

    @leaping
    async def run() -> None:
        sent = FakeSend()
        connection, _ = fed(sent)
        finish(connection)
        ended = connection.ended
        connection.drop()
        assert connection.ended is ended

    run()


@leaping
async def test_a_drop_while_the_goodbye_waits_keeps_its_reason():
    """The metric counts why we ended it."""
    sent = FakeSend()
    connection, feed = fed(sent)
    sent.stall()
    offer(connection, feed, b"x")
    connection.end(CloseReason.UNAUTHORIZED)
    connection.drop()
    await turns()

    assert connection.ended is CloseReason.UNAUTHORIZED
    assert sent.chunks == []
