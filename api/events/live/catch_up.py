"""Brings one reader from its cursor to the end of the logs, before the hub feeds it.

Events come from the hub's memory where that is complete, and otherwise from the log.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter

from api.events.event import Event, EventId
from api.events.live.hub import Hub, Restarts
from api.events.log.page import ANSWER_BYTES, STEP_BYTES, LogPage, cut, merged_past, size_of, within
from api.events.log.topic_log import TopicLog
from api.events.read_request import Newest, ReadRequest
from api.events.topic import TopicName

EVENTS_PER_PAGE = 2000  # of all topics together in one read
EVENTS_PER_TOPIC = 100  # in one read
GROWTH = 4  # of the number of events asked for, from one read to the next
FIRST_EVENTS = 64  # of all topics, before it is known how large they are


@dataclass(frozen=True, slots=True)
class Batch:
    """The result of one step: the topics that lost events (`restarts`), and then the events.

    The events are in the order of their ids, of all topics together.
    """

    events: Sequence[Event]
    restarts: Restarts = field(default_factory=dict)


class CatchUp:
    """What one reader has still to read. Call `begin` once and then `step` until it returns None.

    `positions` are those of the reader; each call moves them. The topics must be watched in the hub
    meanwhile. One call returns a bounded number of bytes, because they stay in memory until the
    reader has taken them. For a topic that was never used a first entry is written, and the
    request's `charge` is called before.

    Both methods raise `RedisError` and what `charge` raises. Then nothing has moved, and the caller
    may repeat the call.
    """

    def __init__(self, hub: Hub, log: TopicLog, request: ReadRequest) -> None:
        self._hub = hub
        self._log = log
        self._topics = request.topics
        self._history = request.history
        self._newest: Newest = request.newest or partial(log.newest, max_bytes=ANSWER_BYTES)
        self._is_chosen = request.newest is not None
        self._charge = request.charge
        self._read_to_end: set[TopicName] = set()
        self._at_once = FIRST_EVENTS
        self.positions: dict[TopicName, EventId] = {}
        if request.cursor is not None:
            known = {topic: request.cursor.position(topic) for topic in self._topics}
            self.positions = {topic: at for topic, at in known.items() if at is not None}
        if self._is_chosen and self._history and len(self.positions) < len(self._topics):
            self.positions = {}  # see `Newest`: its history is for all topics or for none

    async def begin(self) -> tuple[dict[TopicName, EventId], Sequence[Event]]:
        """Find a position on every topic that the cursor does not name, and read the history.

        Returns the positions for the first cursor of the stream, and the history that was asked
        for, oldest first. These positions leave out the topics of the history's events: a reader
        whose stream breaks before it gets them then has no position there, and is sent the history
        again.
        """
        fresh = [topic for topic in self._topics if topic not in self.positions]
        wants_past = fresh and self._history
        pages = dict(await self._newest(fresh, limit=self._history)) if wants_past else {}
        empty = [topic for topic in fresh if topic not in pages]
        found = await self._hub.locate(empty, charge=self._charge)
        if wants_past and empty:
            # An event that came since the topic was found empty stands before its position.
            pages |= await self._newest(empty, limit=self._history)
        found |= {topic: page.end for topic, page in pages.items()}
        events = within(merged_past(pages.values())[: self._history], ANSWER_BYTES)[::-1]
        # A reader can go on only from the end of a chosen history: until then no topic is named.
        told = set(fresh) if events and self._is_chosen else {event.topic for event in events}
        start = self.positions | {topic: at for topic, at in found.items() if topic not in told}
        self.positions |= found
        self._note_end(found)
        return start, events

    async def step(self) -> Batch | None:
        """Return what comes next, or None if there is nothing more to read now.

        A batch without events and restarts means that there is more to read.
        """
        remembered, unread = self._from_memory()
        # What the hub gets from here on is not in `remembered`: the next step finds it.
        pages = await self._read(unread) if unread else {}
        gaps = {topic: page for topic, page in pages.items() if page.gap}
        restarts = await self._log.restart(gaps, charge=self._charge) if gaps else {}
        pages = cut(pages | remembered, STEP_BYTES)
        self.positions |= {topic: page.end for topic, page in pages.items()}
        self.positions |= {topic: head for topic, (head, _) in restarts.items()}
        is_end = [t for t, page in pages.items() if not page.more and not page.gap]
        # Only where nothing follows: the hub takes this for "now", also for readers to come.
        self._note_end([*is_end, *restarts])
        events = sorted((e for page in pages.values() for e in page.events), key=attrgetter("id"))
        more = any(page.more for page in pages.values())
        return Batch(events, restarts) if events or gaps or more else None

    async def _read(self, positions: Mapping[TopicName, EventId]) -> dict[TopicName, LogPage]:
        limit = max(1, min(EVENTS_PER_TOPIC, self._at_once // len(positions)))
        pages = await self._log.read_after(positions, limit=limit)
        read = sum(size_of(page.events) for page in pages.values())
        # Next time, ask for as many events of this size as fit: those that `cut` leaves out are
        # read again, so asking for too many costs their bytes twice.
        fitting = self._at_once * STEP_BYTES // max(1, read)
        self._at_once = max(1, min(EVENTS_PER_PAGE, self._at_once * GROWTH, fitting))
        return pages

    def _from_memory(self) -> tuple[dict[TopicName, LogPage], dict[TopicName, EventId]]:
        """Return pages from the hub's memory, and the positions after which to read the log."""
        remembered: dict[TopicName, LogPage] = {}
        unread: dict[TopicName, EventId] = {}
        for topic, at in self.positions.items():
            events = self._hub.after(topic, at)
            if events is not None:
                remembered[topic] = LogPage(at, self._hub.position(topic) or at, events)
            elif not self._is_ahead(topic, at):
                unread[topic] = at
        return remembered, unread

    def _is_ahead(self, topic: TopicName, at: EventId) -> bool:
        """Whether the reader has read to the log's end, and the hub has not come so far.

        Nothing is read then: the poller will read the same events soon and bring the hub there.
        """
        position = self._hub.position(topic)
        return topic in self._read_to_end and (position is None or position < at)

    def _note_end(self, topics: Iterable[TopicName]) -> None:
        """Note that nothing followed the positions on these topics, and locate them there."""
        for topic in topics:
            self._read_to_end.add(topic)
            self._hub.anchor(topic, self.positions[topic])
