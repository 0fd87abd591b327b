"""A page of one topic's log, and how many bytes of events may be in memory for one answer."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import merge
from operator import attrgetter

from api.events.event import Event, EventId
from api.events.log.entries import Entry, events_of
from api.events.reasons import ResetReason
from api.events.topic import TopicName

STEP_BYTES = 262_144  # of a reader that catches up, between two sends
ANSWER_BYTES = 1_048_576  # of one answer, or of the history that a stream begins with
TOPIC_BYTES = 65_536  # that a topic may take of an answer, however many topics there are
FIRST_ENTRIES = 64  # asked for before it is known how large the events are


@dataclass(frozen=True, slots=True)
class LogPage:
    """What follows a position in one topic's log, oldest first.

    `start` is the position, `end` the one behind the page. `more` says that the log goes on
    after it. With a `gap` the position is not in the log: there are no events, and the reader
    has to start anew.
    """

    start: EventId
    end: EventId
    events: Sequence[Event] = ()
    more: bool = False
    gap: ResetReason | None = None

    @property
    def reason(self) -> ResetReason:
        """Why there is a gap; `UNKNOWN` if there seems to be none."""
        return self.gap or ResetReason.UNKNOWN


def page_after(
    topic: TopicName, start: EventId, anchor: Sequence[Entry], news: Sequence[Entry], *, more: bool
) -> LogPage:
    """The page of the entries after `start`: `news`, or a gap if `anchor` is not the one there.

    `anchor` is the first entry found from `start` on, `start` included; empty if there is none.
    """
    if not anchor or anchor[0][0] != start:
        return LogPage(start, start, gap=ResetReason.TRIMMED if anchor else ResetReason.EXPIRED)
    end = news[-1][0] if news else start
    return LogPage(start, end, events_of(topic, news), more=more)


def size_of(events: Iterable[Event]) -> int:
    """The bytes of the events as JSON."""
    return sum(len(event.body) for event in events)


def within(events: Iterable[Event], max_bytes: int) -> list[Event]:
    """The first events that fit into `max_bytes`, at least one if there is one."""
    taken: list[Event] = []
    left = max_bytes
    for event in events:
        left -= len(event.body)
        if taken and left < 0:
            break
        taken.append(event)
    return taken


def cut(pages: Mapping[TopicName, LogPage], max_bytes: int) -> dict[TopicName, LogPage]:
    """The pages with their oldest events that fit into `max_bytes` together.

    Each page ends behind what it keeps, so the rest is read again later.
    """
    everything = merge(*(page.events for page in pages.values()), key=attrgetter("id"))
    kept: dict[TopicName, list[Event]] = {topic: [] for topic in pages}
    for event in within(everything, max_bytes):
        kept[event.topic].append(event)
    return {topic: _shortened(page, kept[topic]) for topic, page in pages.items()}


def _shortened(page: LogPage, events: list[Event]) -> LogPage:
    if len(events) == len(page.events):
        return page
    end = events[-1].id if events else page.start
    return replace(page, end=end, events=events, more=True)


def merged_past(pages: Iterable[LogPage]) -> list[Event]:
    """The events of several topics' newest pages, newest first.

    Ends where the first of the pages was cut off: below that, events of this topic would be
    missing among those of the others.
    """
    pages = list(pages)
    events = sorted((e for p in pages for e in p.events), key=attrgetter("id"), reverse=True)
    floors = [page.events[0].id for page in pages if page.more and page.events]
    return [event for event in events if not floors or event.id >= max(floors)]
