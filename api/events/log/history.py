"""Pages of the past of several topics together, newest first.

Events are ordered by id and then by topic, so their order does not change while new ones come.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import islice

from api.events.cursor import Cursor, cursor_text
from api.events.event import Event, EventId
from api.events.log.page import ANSWER_BYTES, size_of, within
from api.events.log.topic_log import TopicLog
from api.events.topic import TopicName
from api.problems import InvalidCursor

SCAN_EVENTS = 200  # of a topic in each further read, where events are not shown

Shows = Callable[[Event], bool]
"""Takes an event and returns whether it belongs on the page."""
Positions = Mapping[TopicName, EventId]
"""An event id for each of some topics."""


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """One page of the past of several topics.

    `events` are newest first. `next_cursor` leads to the page with older ones; None if there are
    none. `ends` has the id of the newest entry that was read of each topic that has any, whether it
    is shown or not.
    """

    events: Sequence[Event]
    next_cursor: str | None
    ends: Positions


def every(_: Event) -> bool:
    """Return True: all events are shown."""
    return True


async def page_back(
    log: TopicLog,
    topics: Sequence[TopicName],
    *,
    limit: int,
    cursor: str | None = None,
    shows: Shows = every,
    before: Positions | None = None,
    after: Positions | None = None,
) -> HistoryPage:
    """Return the newest `limit` events of all topics together for which `shows` returns True.

    Only those above `after`, and below the page whose `next_cursor` is `cursor`; if that is None,
    below `before`. These bounds are excluded. Of two events with the same id, the one whose topic
    is earlier in `topics` comes first. A page has fewer events if they are large. Costs one command
    for each topic, and more if many events are not shown. Raises `InvalidCursor` and `RedisError`.
    """
    bounds = _bounds(topics, cursor) if cursor else before or {}
    found, ends = await _gathered(log, topics, limit, before=bounds, shows=shows, after=after or {})
    # Merged from the largest key down, so the topic named first has the largest rank.
    ranks = {topic: -rank for rank, topic in enumerate(topics)}
    merged = merge(*found.values(), key=lambda event: (event.id, ranks[event.topic]), reverse=True)
    events = list(islice(merged, limit + 1))
    shown = within(events[:limit], ANSWER_BYTES)
    if len(shown) == len(events):
        return HistoryPage(shown, None, ends)
    return HistoryPage(shown, _cursor_below(shown[-1], topics), ends)


async def _gathered(
    log: TopicLog,
    topics: Sequence[TopicName],
    limit: int,
    *,
    before: Positions,
    shows: Shows,
    after: Positions,
) -> tuple[dict[TopicName, list[Event]], dict[TopicName, EventId]]:
    """Return more than `limit` shown events of each topic, or all; and its newest entry."""
    found: dict[TopicName, list[Event]] = {topic: [] for topic in topics}
    ends: dict[TopicName, EventId] = {}
    bounds, count = dict(before), limit + 1
    left = list(topics)
    while left:
        pages = await log.newest(
            left, limit=count, before=bounds, after=after, max_bytes=ANSWER_BYTES
        )
        for topic, page in pages.items():
            ends.setdefault(topic, page.end)
            found[topic] += filter(shows, reversed(page.events))
        # What was found of a topic may fill the answer by itself: then no more is needed of it.
        left = [
            t
            for t in pages
            if pages[t].more and len(found[t]) <= limit and size_of(found[t]) <= ANSWER_BYTES
        ]
        bounds |= {topic: pages[topic].events[0].id for topic in left}
        count = SCAN_EVENTS
    return found, ends


def _bounds(topics: Sequence[TopicName], text: str) -> dict[TopicName, EventId]:
    cursor = Cursor.parse(text)
    bounds = {topic: at for topic in topics if (at := cursor.position(topic)) is not None}
    if len(bounds) < len(topics):
        raise InvalidCursor("This cursor is of another list.")
    return bounds


def _cursor_below(last: Event, topics: Sequence[TopicName]) -> str:
    """Return a cursor after `last`. It names topics without events too: new ones are above it."""
    rank = topics.index(last.topic)
    below = {topic: last.id if at <= rank else last.id.next() for at, topic in enumerate(topics)}
    return cursor_text(below)
