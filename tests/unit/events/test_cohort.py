"""Readers of the same selection: frames are encoded once, and slow readers go on by themselves."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.events.cursor import Cursor, CursorWriter
from api.events.delivery.cohort import SENDS_AT_ONCE, Cohort
from api.events.delivery.connection import Connection
from api.events.delivery.sse import CHUNK_BYTES, chunks_of, event_frames
from api.events.event import Event, EventId
from api.events.read_request import Selection
from api.events.reasons import CloseReason, ResetReason
from api.events.topic import TopicName
from tests.support.events import TOPIC, event
from tests.support.leap_loop import leaping, turns
from tests.unit.events.fakes import FakeSend, connect

OTHER = TopicName("public:other")
VIEW = Selection((TOPIC, OTHER), None, named=True)
START = {TOPIC: EventId(0, 0), OTHER: EventId(0, 0)}


def cohort_of(view: Selection = VIEW, lag_max_bytes: int = 1_000_000) -> Cohort:
    return Cohort(view, START, lag_max_bytes=lag_max_bytes)


def member(cohort: Cohort) -> tuple[FakeSend, Connection]:
    sent = FakeSend()
    connection = connect(sent)
    cohort.add(connection)
    return sent, connection


async def publish(cohort: Cohort, *events: Event) -> int:
    ends = {one.topic: one.id for one in events}
    shown = cohort.take_in(events, ends)
    await cohort.fan_out()
    return shown


def seen(sent: FakeSend) -> list[int]:
    return [int(json.loads(frame.data)["id"].partition("-")[0]) for frame in sent.frames]


sizes = st.lists(st.integers(1, 40) | st.integers(CHUNK_BYTES // 3, CHUNK_BYTES + 10), max_size=12)


@given(sizes)
def test_frames_are_put_together_in_order_up_to_the_limit(lengths: list[int]):
    """A larger chunk is one frame; two neighbours would not fit into one chunk."""
    frames = [bytes([number]) * length for number, length in enumerate(lengths)]

    chunks = chunks_of(frames)

    assert b"".join(chunks) == b"".join(frames)
    assert all(len(chunk) <= CHUNK_BYTES or len(set(chunk)) == 1 for chunk in chunks)
    for one, following in pairwise(chunks):
        first_frame = frames[following[0]]
        assert len(one) + len(first_frame) > CHUNK_BYTES


def test_the_cursor_moves_over_what_the_filter_hides():
    """Else the hidden events would be read again at each reconnect."""
    view = Selection((TOPIC,), frozenset({"shown"}), named=True)
    writer = CursorWriter({TOPIC: EventId(0, 0)})

    frames = event_frames(view, [event(1, kind="hidden"), event(2, kind="shown")], writer)
    event_frames(view, [event(3, kind="hidden")], writer)

    assert len(frames) == 1
    assert Cursor.parse(writer.text().decode()).position(TOPIC) == EventId(3, 0)


@leaping
async def test_all_members_get_the_same_bytes():
    """Each frame is encoded once."""
    cohort = cohort_of()
    (one, _), (two, _) = member(cohort), member(cohort)

    shown = await publish(cohort, event(1), event(2, topic=OTHER))

    assert shown == 2
    assert seen(one) == [1, 2]
    assert one.chunks == two.chunks
    assert len(one.chunks) == 1


@leaping
async def test_each_event_carries_the_cursor_behind_it():
    """A client that is cut off between two events of one write resumes at the second."""
    cohort = cohort_of()
    sent, _ = member(cohort)

    await publish(cohort, event(1), event(2, topic=OTHER))

    first, second = (Cursor.parse(frame.id) for frame in sent.frames)
    assert (first.position(TOPIC), first.position(OTHER)) == (EventId(1, 0), EventId(0, 0))
    assert (second.position(TOPIC), second.position(OTHER)) == (EventId(1, 0), EventId(2, 0))


@leaping
async def test_the_cursor_also_passes_entries_that_are_no_events():
    """A genesis entry or a foreign one may be the last entry of the topic."""
    cohort = cohort_of()
    cohort.take_in([], {TOPIC: EventId(7, 0)})

    assert Cursor.parse(cohort.cursor().decode()).position(TOPIC) == EventId(7, 0)


@leaping
async def test_who_is_added_later_gets_only_what_comes_later():
    """It has got the earlier events while it caught up."""
    cohort = cohort_of()
    early, _ = member(cohort)
    await publish(cohort, event(1))
    late, _ = member(cohort)
    await publish(cohort, event(2))

    assert (seen(early), seen(late)) == ([1, 2], [2])


@leaping
async def test_who_left_gets_nothing_more():
    """The server may use its socket for another client by then."""
    cohort = cohort_of()
    sent, connection = member(cohort)
    cohort.remove(connection)
    await publish(cohort, event(1))

    assert sent.frames == []


@leaping
async def test_a_stalled_member_holds_up_nobody_and_loses_nothing():
    """It catches up from the backlog as soon as it reads again."""
    cohort = cohort_of()
    (slow, _), (fast, _) = member(cohort), member(cohort)
    slow.stall()
    for ms in range(1, 6):
        await publish(cohort, event(ms))

    assert (seen(fast), seen(slow)) == ([1, 2, 3, 4, 5], [])
    slow.go_on()
    await turns()
    assert seen(slow) == [1, 2, 3, 4, 5]


@leaping
async def test_the_backlog_is_empty_while_all_keep_up():
    """Ten thousand level readers cost no memory for events."""
    cohort = cohort_of()
    member(cohort)
    await publish(cohort, event(1))

    assert cohort.backlog.first == cohort.backlog.next


@leaping
async def test_the_backlog_is_let_go_when_the_last_one_has_caught_up():
    """The same holds when the last one leaves instead."""
    cohort = cohort_of()
    (one, _), (two, leaver) = member(cohort), member(cohort)
    one.stall()
    two.stall()
    await publish(cohort, event(1))
    await publish(cohort, event(2))
    one.go_on()
    await turns()
    held = cohort.backlog.next - cohort.backlog.first
    cohort.remove(leaver)

    assert held > 0
    assert cohort.backlog.first == cohort.backlog.next


@leaping
async def test_who_lags_too_far_is_told_so_and_the_others_go_on():
    """Its `bye overflow` has no id: the client resumes at the last event it got."""
    cohort = cohort_of(lag_max_bytes=1000)
    (slow, _), (fast, _) = member(cohort), member(cohort)
    await publish(cohort, event(1))
    slow.stall()
    for ms in range(2, 30):
        await publish(cohort, event(ms))
    slow.go_on()
    await turns()

    assert seen(fast) == list(range(1, 30))
    *events, bye = slow.frames
    assert [json.loads(one.data)["id"] for one in events] == ["1-0", "2-0"]
    assert json.loads(bye.data)["reason"] == "overflow"
    assert bye.id == events[-1].id
    assert slow.is_closed


@leaping
async def test_who_lags_too_far_and_never_reads_again_is_given_up():
    """It ends after the grace period, and not only at the deadline of the stream."""
    cohort = cohort_of(lag_max_bytes=1000)
    aborted: list[bool] = []
    sent = FakeSend()
    connection = connect(sent, grace_s=30, abort=lambda: aborted.append(True))
    cohort.add(connection)
    sent.stall()
    for ms in range(1, 30):
        await publish(cohort, event(ms))
    await asyncio.sleep(29)
    assert aborted == []
    await asyncio.sleep(2)

    assert aborted == [True]


@leaping
async def test_a_large_batch_is_sent_in_several_chunks():
    """Each is small enough for a socket to take at once, and none is left out."""
    cohort = cohort_of()
    sent, connection = member(cohort)
    await publish(cohort, *(event(ms, data="x" * 30_000) for ms in range(1, 8)))

    assert seen(sent) == list(range(1, 8))
    assert len(sent.chunks) == 4
    assert connection.seq == cohort.backlog.next


@leaping
async def test_a_member_that_stalls_within_a_batch_continues_there():
    """It takes the rest from the backlog, each chunk once."""
    cohort = cohort_of()
    sent, _ = member(cohort)
    sent.stall()
    await publish(cohort, *(event(ms, data="x" * 30_000) for ms in range(1, 8)))
    sent.go_on()
    await turns()

    assert seen(sent) == list(range(1, 8))


@leaping
async def test_more_comes_while_a_fan_out_makes_a_pause():
    """A connection that was added or stalled in the pause misses nothing."""
    cohort = cohort_of()
    members = [member(cohort)[0] for _ in range(SENDS_AT_ONCE + 1)]
    cohort.take_in([event(1)], {TOPIC: EventId(1, 0)})
    sending = asyncio.create_task(cohort.fan_out())
    await asyncio.sleep(0)  # some have it, the pause has come
    late, _ = member(cohort)
    left = sum(not sent.chunks for sent in members)
    await sending
    await publish(cohort, event(2))

    assert left == 1
    assert all(seen(sent) == [1, 2] for sent in members)
    assert seen(late) == [2]


@leaping
async def test_the_backlog_stays_until_a_fan_out_is_through():
    """A slow reader that catches up in the pause must not clear what others still need."""
    cohort = cohort_of()
    (slow, _), *others = [member(cohort) for _ in range(SENDS_AT_ONCE + 1)]
    slow.stall()
    await publish(cohort, event(1))
    cohort.take_in([event(2)], {TOPIC: EventId(2, 0)})
    slow.go_on()
    sending = asyncio.create_task(cohort.fan_out())
    await turns()
    await sending

    assert seen(slow) == [1, 2]
    assert all(seen(sent) == [1, 2] for sent, _ in others)


@pytest.mark.parametrize("named", [True, False])
def test_a_reset_is_told_to_all_and_the_cursor_stands_behind_it(named: bool):
    """A reader that is cut off right after it is not told again."""

    @leaping
    async def run() -> None:
        cohort = cohort_of(Selection((TOPIC, OTHER), None, named=named))
        sent, _ = member(cohort)
        cohort.take_reset(TOPIC, EventId(9, 0), ResetReason.TRIMMED)
        await cohort.fan_out()

        (frame,) = sent.frames
        data = json.loads(frame.data)
        assert (data["type"], data["topics"], data["reason"]) == ("reset", [TOPIC], "trimmed")
        assert Cursor.parse(frame.id).position(TOPIC) == EventId(9, 0)

    run()


@leaping
async def test_a_keep_alive_that_waits_does_not_cost_the_place():
    """It was being sent when the reader was added; what came meanwhile follows it."""
    cohort = cohort_of()
    sent = FakeSend()
    connection = connect(sent)
    sent.stall()
    connection.keep_alive()
    cohort.add(connection)
    await publish(cohort, event(1))
    sent.go_on()
    await turns()

    assert connection.ended is not CloseReason.OVERFLOW
    assert seen(sent) == [1]
