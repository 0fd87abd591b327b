"""Streams: how they start, what they send, and how each of them ends."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from api.events.log.page import ANSWER_BYTES
from api.events.reasons import CloseReason
from api.events.stream.deadline import Deadline, window
from api.events.topic import TopicName, log_key
from api.upstash import UpstashClient
from tests.integration.events.conftest import Start, put, put_at
from tests.support.client import Client, Stream
from tests.support.instances import Instance
from tests.support.upstash_server import UpstashServer

A, B = TopicName("public:a"), TopicName("public:b")


def data(events: list[Any]) -> list[Any]:
    return [event["data"] for event in events]


def after(lifetime_s: float, reason: CloseReason = CloseReason.ROTATE) -> Any:
    return lambda _: Deadline(lifetime_s, reason)


async def lag(client: Client, instance: Instance) -> Stream:
    """A stream whose reader takes nothing more, with a backlog behind it."""
    stream = await client.stream([A], stalls=True).until_connected()
    for _ in range(40):
        await put(instance.services.streaming.log, A, *["x" * 20_000] * 5)
    return stream


# The start


async def test_the_first_bytes_come_at_once_and_set_the_pause(
    client: Client, upstash: UpstashServer
):
    """Before any command to Redis, so that proxies and clients see an open stream."""
    upstash.faults(silent=-1)
    stream = client.stream([A])
    await stream.until(lambda one: one.retry_ms is not None)

    assert 1000 <= (stream.retry_ms or 0) <= 3000
    assert (stream.frames, stream.comments) == ([], 1)
    assert stream.connection.headers["content-type"].startswith("text/event-stream")
    assert "no-cache" in stream.connection.headers["cache-control"]
    await stream.close()


async def test_connected_names_topics_cursor_time_and_interval(client: Client):
    """Each topic once and sorted, whatever was asked."""
    async with client.stream([B, A, B]) as held:
        frame = held.frames[0]
        said = json.loads(frame.data)

    assert frame.event == "connected"
    assert said["topics"] == [A, B]
    assert said["cursor"] == frame.id
    assert said["keep_alive_s"] == 15
    assert said["time"].endswith("Z")


async def test_a_stream_that_was_cut_behind_connected_loses_nothing(
    client: Client, instance: Instance
):
    """What came while nobody was connected follows its cursor."""
    async with client.stream([A]) as held:
        cursor = held.cursor
    await put(instance.services.streaming.log, A, 1, 2)

    async with client.stream([A], cursor) as resumed:
        assert data(await resumed.until_events(2)) == [1, 2]


async def test_a_stream_can_change_its_topics(client: Client, instance: Instance):
    """Topics that stay go on, new ones start now."""
    log = instance.services.streaming.log
    async with client.stream([A]) as held:
        cursor = held.cursor
    await put(log, A, "a1")
    await put(log, B, "b1")

    async with client.stream([A, B], cursor) as resumed:
        await resumed.until_events(1)
        await put(log, B, "b2")
        assert data(await resumed.until_events(2)) == ["a1", "b2"]


async def test_unnamed_frames_are_all_messages(client: Client, instance: Instance):
    """Control events as well; their data has their type."""
    stream = client.stream([A], named="false")
    async with stream:
        await put(instance.services.streaming.log, A, 1)
        await stream.until(lambda one: len(one.frames) == 2)

    assert [frame.event for frame in stream.frames] == ["message", "message"]
    assert [json.loads(frame.data)["type"] for frame in stream.frames] == ["connected", "tick"]


async def test_a_filter_hides_events_and_the_cursor_passes_them(client: Client, instance: Instance):
    """They are not read again; the next event has a cursor behind them."""
    log = instance.services.streaming.log
    async with client.stream([A]) as held:
        cursor = held.cursor
    await put(log, A, 1, kind="hidden")
    await put(log, A, 2, kind="shown")
    async with client.stream([A], cursor, types="shown") as filtered:
        await filtered.until_events(1)
        await put(log, A, 3, kind="hidden")
        await put(log, A, 4, kind="shown")
        assert data(await filtered.until_events(2)) == [2, 4]
        cursor = filtered.cursor

    assert data((await client.poll([A], cursor)).json()["events"]) == []


async def test_a_goodbye_stands_behind_what_the_filter_hid(start: Start):
    """So hidden events are not read again after each rotation."""
    instance = await start(after(0.3))
    client = Client(instance)
    stream = await client.stream([A], types="shown").until_connected()
    await put(instance.services.streaming.log, A, 1, kind="hidden")
    await stream.until_end()

    assert data((await client.poll([A], stream.cursor)).json()["events"]) == []
    assert stream.bye["reason"] == "rotate"


@pytest.mark.parametrize("asked", [1, 7, 20])
async def test_history_is_followed_by_what_comes_without_hole_or_repeat(
    asked: int, client: Client, instance: Instance
):
    """While events are published all the time."""
    log = instance.services.streaming.log
    stored = [str(one) for one in await put(log, A, *range(10))]
    is_over = asyncio.Event()

    async def publish_on() -> None:
        while not is_over.is_set():
            stored.extend(str(one) for one in await put(log, A, "more"))

    publishing = asyncio.create_task(publish_on())
    streams = [client.stream([A], history=asked) for _ in range(5)]
    for stream in streams:
        await stream.until_events(asked + 10)
        await asyncio.sleep(0.005)
    is_over.set()
    await publishing

    for stream in streams:
        seen = [event["id"] for event in stream.events]
        first = stored.index(seen[0])
        assert seen == stored[first : first + len(seen)]
        assert first <= 10 or asked < 10
        await stream.close()


async def test_history_is_exactly_the_newest_when_nothing_comes(client: Client, instance: Instance):
    """Of all topics together, oldest first; the genesis entry does not count."""
    log = instance.services.streaming.log
    await client.poll([A, B])
    await put(log, A, *range(5))
    await asyncio.sleep(0.002)
    await put(log, B, *range(5, 8))
    async with client.stream([A, B], history=6) as held:
        await held.until_events(6)
        await put(log, A, "live")
        assert data(await held.until_events(7)) == [2, 3, 4, 5, 6, 7, "live"]


async def test_a_stream_cut_within_its_history_asks_for_the_rest(
    client: Client, instance: Instance
):
    """The cursor does not yet name a topic whose history was still to come."""
    log = instance.services.streaming.log
    await put(log, A, 1, 2)
    await asyncio.sleep(0.002)
    await put(log, B, 3, 4)
    async with client.stream([A, B], history=4) as held:
        await held.until_events(4)
        cursors = [frame.id for frame in held.frames]

    for cut, cursor in enumerate(cursors):
        answer = (await client.poll([A, B], cursor, history=4)).json()
        assert sorted(data(answer["events"])) == [1, 2, 3, 4][cut:]


async def test_a_history_that_is_too_large_is_cut_at_its_old_end_and_does_not_hang_the_stream(
    client: Client, redis: UpstashClient
):
    """On two topics full of the largest events, with the longest history."""
    for topic in [A, B]:
        await put_at(redis, topic, *range(1, 91), size=65_000)
    fit = ANSWER_BYTES // 65_100

    async with client.stream([A, B], history=100) as held:
        shown = await held.until_events(fit)
        await put_at(redis, A, 91)
        shown = await held.until_events(len(shown) + 1)

    newest = [(f"{number}-0", topic) for number in range(1, 91) for topic in (A, B)][-fit:]
    # Two events of one id have no order.
    came = [(event["id"], event["topic"]) for event in shown]
    assert sorted(came) == sorted([*newest, ("91-0", A)])
    assert [one for one, _ in came] == sorted(one for one, _ in came)


# Gaps


@pytest.mark.parametrize(
    ("command", "reason"),
    [(["XTRIM", log_key(A), "MAXLEN", "1"], "trimmed"), (["DEL", log_key(A)], "expired")],
)
async def test_a_gap_at_the_start_is_told_and_the_stream_goes_on(
    command: list[str], reason: str, client: Client, instance: Instance, redis: UpstashClient
):
    """Other topics are not touched by it."""
    log = instance.services.streaming.log
    async with client.stream([A, B]) as held:
        cursor = held.cursor
    await put(log, A, 1, 2)
    await put(log, B, 3)
    await redis.write(*command)

    async with client.stream([A, B], cursor) as resumed:
        await resumed.until_events(1)
        await put(log, A, 4)
        assert data(await resumed.until_events(2)) == [3, 4]
        (reset,) = (json.loads(f.data) for f in resumed.frames if f.event == "reset")
        assert (reset["topics"], reset["reason"]) == ([A], reason)
        cursor = resumed.cursor
    assert (await client.poll([A, B], cursor)).json()["reset"] is None


async def test_a_gap_while_reading_is_told_to_all_readers(start: Start, redis: UpstashClient):
    """The topic was trimmed below where this process stands."""
    instance = await start()
    instance.poll_by_hand()
    client = Client(instance)
    async with client.stream([A]) as one, client.stream([A, B]) as two:
        await put(instance.services.streaming.log, A, 1, 2)
        await redis.write("XTRIM", log_key(A), "MAXLEN", 1)
        await instance.services.poller.run_once()
        for held in (one, two):
            await held.until(lambda some: some.frames[-1].event == "reset")
        await put(instance.services.streaming.log, A, 3)
        await instance.services.poller.run_once()
        for held in (one, two):
            assert data(await held.until_events(1)) == [3]


async def test_a_cursor_from_the_future_is_unknown(client: Client, redis: UpstashClient):
    """As after a restore from a backup: the log is older than the client."""
    await put_at(redis, A, 2_000_000_000_000)
    cursor = (await client.poll([A])).json()["cursor"]
    await redis.write("DEL", log_key(A))
    await put_at(redis, A, 1)
    answer = (await client.poll([A], cursor)).json()

    assert [reset["reason"] for reset in answer["reset"]] == ["unknown"]


# The end


async def test_a_deadline_ends_the_stream_and_the_next_one_goes_on(start: Start):
    """`bye` says why and when to come back; nothing is lost in between."""
    instance = await start(after(0.15))
    client, log = Client(instance), instance.services.streaming.log
    cursor = ""
    seen: list[int] = []
    for number in range(4):
        stream = await client.stream([A], cursor).until_connected()
        await put(log, A, number)
        await stream.until_end()
        seen += data(stream.events)
        assert stream.bye["reason"] == "rotate"
        assert 1000 <= stream.bye["retry_ms"] <= 3000
        cursor = stream.cursor

    assert seen == [0, 1, 2, 3]


async def test_a_token_that_expires_ends_the_stream(instance: Instance):
    """Also one that lives long."""
    client = Client(instance, instance.token(ttl_s=1))
    stream = await client.stream([A]).until_end()

    assert stream.bye["reason"] == "unauthorized"


async def test_draining_ends_all_streams_and_sends_new_ones_away(
    client: Client, instance: Instance
):
    """With a pause and status 200, or an EventSource would give up."""
    streams = [await client.stream([A]).until_connected() for _ in range(3)]
    draining = asyncio.create_task(instance.services.streaming.open_streams.drain(timeout_s=5))
    for stream in streams:
        await stream.until_end()
        assert stream.bye["reason"] == "shutdown"
    assert await draining
    late = await client.stream([A]).until_end()

    assert (late.connection.status, late.frames) == (200, [])
    assert (late.retry_ms or 0) >= 1000


async def test_a_full_process_sends_more_streams_away(start: Start):
    """Until there is room again."""
    client = Client(await start(max_streams=1))
    async with client.stream([A]):
        away = await client.stream([A]).until_end()
        assert (away.connection.status, away.frames) == (200, [])
        assert (away.retry_ms or 0) >= 1000
    async with client.stream([A]) as held:
        assert held.frames


async def test_a_reader_that_is_too_slow_is_ended_and_resumes(start: Start):
    """Memory is bounded, and the resume brings what it had not got."""
    instance = await start(lag_max_bytes=65_536)
    client = Client(instance)
    stream = await lag(client, instance)
    await stream.until_end()
    assert stream.bye["reason"] == "overflow"
    first = [event["id"] for event in stream.events]

    async with client.stream([A], stream.cursor) as resumed:
        rest = await resumed.until_events(200 - len(first))
    ids = first + [event["id"] for event in rest]
    assert len(set(ids)) == len(ids) == 200
    assert ids == sorted(ids, key=lambda one: tuple(map(int, one.split("-"))))


async def test_a_reader_that_stalls_holds_up_nobody(start: Start):
    """The other readers get everything meanwhile."""
    instance = await start(lag_max_bytes=65_536)
    client = Client(instance)
    quick = await client.stream([A]).until_connected()
    slow = await lag(client, instance)

    assert len(await quick.until_events(200)) == 200
    await quick.close()
    await slow.close()


async def test_a_client_that_leaves_leaves_nothing_behind(client: Client, instance: Instance):
    """Neither a stream nor a watched topic nor a task."""
    before = asyncio.all_tasks()
    hub = instance.services.streaming.hub
    streams = [await client.stream([A], stalls=n % 2 == 0).until_connected() for n in range(6)]
    waiting = client.stream([B])
    for stream in [*streams, waiting]:
        await stream.close()
    await instance.services.poller.close()

    assert len(instance.services.streaming.open_streams) == 0
    assert not hub.follows_anything
    assert asyncio.all_tasks() - before == set()


async def test_ends_are_counted_by_their_reason(start: Start):
    """Operators can tell rotation from trouble."""
    instance = await start(after(0.05))
    client = Client(instance)
    await client.stream([A]).until_end()
    async with client.stream([A]):
        pass

    text = instance.services.metrics.text().decode()
    assert 'millrace_stream_ends_total{reason="rotate"} 1.0' in text
    assert 'millrace_stream_ends_total{reason="gone"} 1.0' in text


async def test_an_end_while_catching_up_ends_the_stream(start: Start, upstash: UpstashServer):
    """Redis is away, and the deadline comes all the same."""
    instance = await start(after(0.3), redis_timeout_s=0.2)
    upstash.faults(bad_gateway=-1)
    stream = await Client(instance).stream([A]).until_end()

    assert [frame.event for frame in stream.frames] == ["bye"]
    assert stream.cursor == ""


async def test_a_reader_that_never_reads_is_given_up(start: Start, monkeypatch: Any):
    """Not even `bye` can be sent; after the grace period the connection is cut."""
    monkeypatch.setattr("api.events.stream.session.GRACE_S", 0.1)
    instance = await start(after(0.4))
    client = Client(instance)
    stream = await client.stream([A], stalls=True).until_connected()
    await put(instance.services.streaming.log, A, *["x" * 20_000] * 10)
    async with asyncio.timeout(5):
        while not stream.connection.is_done:
            await asyncio.sleep(0.01)

    assert len(instance.services.streaming.open_streams) == 0
    assert b"event: bye" not in stream.connection.pending


# Windows


async def test_a_window_answers_a_backlog_at_once(start: Start):
    """All of it, and `bye` behind it."""
    instance = await start(window(20))
    client = Client(instance)
    cursor = (await client.poll([A])).json()["cursor"]
    await put(instance.services.streaming.log, A, *range(250))
    stream = await client.stream([A], cursor).until_end()

    assert data(stream.events) == list(range(250))
    assert stream.bye["reason"] == "deadline"


async def test_a_window_ends_behind_the_first_batch(start: Start):
    """The client of a buffered answer sees it only when it has ended."""
    instance = await start(window(20))
    stream = await Client(instance).stream([A]).until_connected()
    await put(instance.services.streaming.log, A, 1)
    await stream.until_end(timeout_s=2)

    assert data(stream.events) == [1]


async def test_a_window_without_events_ends_in_time(start: Start):
    """It has a cursor to go on from."""
    instance = await start(window(0.2))
    client = Client(instance)
    stream = await client.stream([A]).until_end(timeout_s=1)
    await put(instance.services.streaming.log, A, 1)

    assert stream.bye["reason"] == "deadline"
    assert data((await client.poll([A], stream.cursor)).json()["events"]) == [1]


async def test_a_window_of_nothing_still_brings_a_backlog(start: Start):
    """A deadline of zero means: send what is there now."""
    instance = await start(window(0))
    client = Client(instance)
    cursor = (await client.poll([A])).json()["cursor"]
    await put(instance.services.streaming.log, A, 1)
    full = await client.stream([A], cursor).until_end()
    empty = await client.stream([A], full.cursor).until_end()

    assert (data(full.events), data(empty.events)) == ([1], [])
    assert empty.bye["reason"] == "deadline"


async def test_a_late_window_still_brings_its_backlog(start: Start, upstash: UpstashServer):
    """Redis took longer than the window; else the client would never get any event."""
    instance = await start(window(0.1))
    client = Client(instance)
    cursor = (await client.poll([A])).json()["cursor"]
    await put(instance.services.streaming.log, A, 1)
    upstash.faults(rtt_ms=300)
    stream = await client.stream([A], cursor).until_end()

    assert data(stream.events) == [1]


async def test_windows_take_no_lease(start: Start, upstash: UpstashServer):
    """A buffered answer lasts too short a time to be counted."""
    limits = {"max_streams_per_user": 1, "max_streams_per_ip": 1}
    held, buffered = await start(**limits), await start(window(0.05), **limits)
    async with Client(held).stream([A]):
        refused = Client(held).stream([A])
        await refused.connection.json()
        assert refused.connection.status == 429
        stream = await Client(buffered).stream([A]).until_end()

    assert stream.bye["reason"] == "deadline"
