"""Pages of one topic's log, and limits for the bytes of events in memory for one answer."""

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
    """The events that follow a position in one topic's log, oldest first.

    `start` is this position and `end` the one after the page. `more` says that the log has further
    entries. If `gap` is set, the position is not in the log any more: the page has no events, and
    the reader has to start again at the newest entry.
    """

    start: EventId
    end: EventId
    events: Sequence[Event] = ()
    more: bool = False
    gap: ResetReason | None = None

    @property
    def reason(self) -> ResetReason:
        """The reason of the gap; `UNKNOWN` if the page has none."""
        return self.gap or ResetReason.UNKNOWN


def page_after(
    topic: TopicName, start: EventId, anchor: Sequence[Entry], news: Sequence[Entry], *, more: bool
) -> LogPage:
    """Return the page with the entries `news` that follow `start`, or a page with a gap.

    `anchor` holds the first entry at or after `start`, or nothing. There is a gap unless that entry
    is `start` itself. `more` says that the log has further entries.
    """
    if not anchor or anchor[0][0] != start:
        return LogPage(start, start, gap=ResetReason.TRIMMED if anchor else ResetReason.EXPIRED)
    end = news[-1][0] if news else start
    return LogPage(start, end, events_of(topic, news), more=more)


def size_of(events: Iterable[Event]) -> int:
    """Return the bytes that the events take as JSON."""
    return sum(len(event.body) for event in events)


def within(events: Iterable[Event], max_bytes: int) -> list[Event]:
    """Return the first events that fit into `max_bytes`, but at least one if there is one."""
    taken: list[Event] = []
    left = max_bytes
    for event in events:
        left -= len(event.body)
        if taken and left < 0:
            break
        taken.append(event)
    return taken


def cut(pages: Mapping[TopicName, LogPage], max_bytes: int) -> dict[TopicName, LogPage]:
    """Shorten the pages so that they hold at most `max_bytes` together, but at least one event.

    The oldest events are kept. A shortened page ends after what it keeps and has `more`, so that
    the rest is read again later.
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
    """Return the events of the newest pages of several topics together, newest first.

    If a page has older events that were not read, the result ends at the oldest event of that page:
    below it, events of this topic would be missing among those of the others.
    """
    pages = list(pages)
    events = sorted((e for p in pages for e in p.events), key=attrgetter("id"), reverse=True)
    floors = [page.events[0].id for page in pages if page.more and page.events]
    return [event for event in events if not floors or event.id >= max(floors)]
