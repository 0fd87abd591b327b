"""A topic's newest events in memory: all that follow a position, or none."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from api.events.event import Event, EventId
from api.events.live.recent_events import MAX_BYTES, MAX_EVENTS, RecentEvents
from tests.support.events import event

NOW = 1000.0


def started(at: int = 0) -> RecentEvents:
    recent = RecentEvents()
    recent.restart(EventId(at, 0))
    return recent


def extend(recent: RecentEvents, events: Sequence[Event], end: int | None = None) -> None:
    recent.extend(events, end=EventId(end, 0) if end else events[-1].id, now=NOW)


# Gaps between the ids, so that most ids are in no log; ends beyond the last event are entries
# that are not events.
batches = st.lists(
    st.tuples(st.lists(st.integers(1, 3), max_size=6), st.integers(0, 2)), max_size=8
)


@given(batches, st.integers(0, 100))
def test_after_is_exactly_the_suffix_or_nothing(plan: list[tuple[list[int], int]], at: int):
    """None costs one command more; a part of the suffix would lose events."""
    recent, ms, log = started(), 0, [EventId(0, 0)]
    events: list[Event] = []
    for gaps, beyond in plan:
        batch = []
        for gap in gaps:
            ms += gap
            batch.append(event(ms))
        events += batch
        log += [one.id for one in batch]
        if not gaps and not beyond:
            continue
        ms += beyond
        log.append(EventId(ms, 0))
        extend(recent, batch, ms)

    found = recent.after(EventId(at, 0))

    assert found is None or list(found) == [one for one in events if one.id.ms > at]
    assert found is None or EventId(at, 0) in log
    is_known = at == recent.position.ms or any(one.id.ms == at for one in events)  # type: ignore[union-attr]
    assert not is_known or found is not None


def test_nothing_follows_the_position():
    """A reader that has everything costs nothing."""
    assert started(5).after(EventId(5, 0)) == ()


def test_what_was_before_the_start_is_not_known():
    """Not even when events came since."""
    recent = started(5)
    extend(recent, [event(6)])

    assert recent.after(EventId(4, 0)) is None
    assert recent.after(EventId(5, 0)) == (event(6),)


def test_a_position_between_events_is_not_believed():
    """It may be the id of an event of a log that was deleted."""
    recent = started()
    extend(recent, [event(1), event(3)])

    assert recent.after(EventId(2, 0)) is None


def test_memory_holds_a_bounded_number_of_events():
    """The older ones are read from the log; those in memory are complete."""
    recent = started()
    for ms in range(1, MAX_EVENTS + 11):
        extend(recent, [event(ms)])

    assert recent.after(EventId(9, 0)) is None
    kept = recent.after(EventId(10, 0))
    assert kept is not None
    assert [one.id.ms for one in kept] == list(range(11, MAX_EVENTS + 11))


@given(st.lists(st.integers(0, MAX_BYTES // 3), min_size=1, max_size=12))
def test_memory_holds_a_bounded_number_of_bytes(sizes: list[int]):
    """However large the events are; and no more of them go than must."""
    recent = started()
    for ms, size in enumerate(sizes, start=1):
        extend(recent, [event(ms, data="x" * size)])
    held = [recent.after(EventId(ms, 0)) for ms in range(len(sizes) + 1)]
    most = next(some for some in held if some is not None)

    assert sum(len(one.body) for one in most) <= MAX_BYTES
    dropped = len(sizes) - len(most)
    bodies = [len(event(ms, data="x" * size).body) for ms, size in enumerate(sizes, start=1)]
    assert not dropped or sum(bodies[dropped - 1 :]) > MAX_BYTES


def test_one_event_larger_than_memory_leaves_it_empty_and_right():
    """A reader at its end is still served from memory."""
    recent = started()
    extend(recent, [event(1), event(2, data="x" * MAX_BYTES)])

    assert recent.after(EventId(2, 0)) == ()
    assert recent.after(EventId(1, 0)) is None


def test_bytes_are_counted_anew_after_a_restart():
    """Else the memory would become smaller with each gap."""
    recent = started()
    extend(recent, [event(1, data="x" * (MAX_BYTES - 1000))])
    recent.restart(EventId(5, 0))
    extend(recent, [event(6, data="x" * (MAX_BYTES - 1000))])

    after = recent.after(EventId(5, 0))
    assert after is not None
    assert len(after) == 1


def test_a_restart_forgets_what_was_before_it():
    """Events before a gap are not complete."""
    recent = started()
    extend(recent, [event(1), event(2)])
    recent.restart(EventId(9, 0))

    assert recent.after(EventId(1, 0)) is None
    assert recent.after(EventId(9, 0)) == ()


def test_memory_knows_when_it_last_had_news():
    """The poller reads such topics in another way."""
    recent = started()
    before = recent.last_news_at
    extend(recent, [event(1)])

    assert (before, recent.last_news_at) == (float("-inf"), NOW)
