"""All readers of this process: which topics they watch, and who gets which events.

The poller brings pages of the logs (`deliver`); the hub remembers the newest events of each
topic and hands them to the cohorts whose connections read it. A new reader first catches up
(`CatchUp`) and is fed from here once it stands where the hub does.

A topic goes three steps. It is *watched* while somebody wants it. It is *located* when its
position in the log is known: from then on the poller reads it. It is forgotten when nobody
watches it any more.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from heapq import merge
from operator import attrgetter
from typing import TYPE_CHECKING

from api.events.delivery.cohort import Cohort
from api.events.delivery.connection import Connection
from api.events.event import Event, EventId
from api.events.live.recent_events import RecentEvents
from api.events.live.shared_calls import SharedCalls
from api.events.log.page import LogPage
from api.events.log.topic_log import TopicLog
from api.events.read_request import Selection
from api.events.reasons import ResetReason
from api.events.topic import TopicName
from api.security.rates import Charge, free
from api.telemetry.metrics import Metrics

if TYPE_CHECKING:  # the poller is built around its hub
    from api.events.live.poller import Poller

Restarts = Mapping[TopicName, tuple[EventId, ResetReason]]
"""The topics that lost events: where each goes on, and why they were lost."""


class Hub:
    """The readers of one process, fed by one poller.

    `poller(hub)` makes that poller. The hub wakes it when there may be something to read: for a
    newly located topic and for an event published here; and when nothing is left to follow, so
    that it stops. `lag_max_bytes` is how far the readers of one cohort may lag.
    """

    def __init__(
        self,
        log: TopicLog,
        *,
        poller: Callable[["Hub"], "Poller"],
        lag_max_bytes: int,
        metrics: Metrics,
        monotonic: Callable[[], float],
    ) -> None:
        self._log = log
        self._lag_max_bytes = lag_max_bytes
        self._metrics = metrics
        self._monotonic = monotonic
        self._recent: dict[TopicName, RecentEvents] = {}
        self._cohorts: dict[Selection, Cohort] = {}
        self._watchers: dict[TopicName, set[Selection]] = {}
        self._last = SharedCalls(self._find)
        self._begun = SharedCalls(self._begin)
        self._moved = asyncio.Event()
        self._fed: dict[Connection, Cohort] = {}
        self.poller = poller(self)

    def watch(self, topics: Iterable[TopicName]) -> None:
        """Watch these topics until `unwatch` was called as often as this."""
        for topic in topics:
            self._recent.setdefault(topic, RecentEvents()).readers += 1

    def unwatch(self, topics: Iterable[TopicName]) -> None:
        """Undo one `watch`; forget the topics that nobody watches any more."""
        for topic in topics:
            recent = self._recent[topic]
            recent.readers -= 1
            if not recent.readers:
                del self._recent[topic]
        if not self.follows_anything:
            self.poller.wake()

    @property
    def follows_anything(self) -> bool:
        """Whether any topic is located, so that there is something to poll."""
        return any(recent.position is not None for recent in self._recent.values())

    def positions(self) -> dict[TopicName, EventId]:
        """The position of each located topic."""
        return self._known(self._recent)

    def had_news_since(self, moment: float) -> set[TopicName]:
        """The watched topics with news since `moment`, in monotonic seconds."""
        return {topic for topic, recent in self._recent.items() if recent.last_news_at >= moment}

    def position(self, topic: TopicName) -> EventId | None:
        """Where this process stands in the topic's log; None if it is not located."""
        recent = self._recent.get(topic)
        return recent.position if recent else None

    def after(self, topic: TopicName, at: EventId) -> Sequence[Event] | None:
        """The events after `at` from memory; None if some may be missing there."""
        recent = self._recent.get(topic)
        return recent.after(at) if recent and recent.position is not None else None

    def anchor(self, topic: TopicName, at: EventId) -> None:
        """Locate a watched topic at `at`, an id in its log. Does nothing if it is located.

        Only the first reader to find a position sets it: to set it again would skip or repeat
        events for the readers that are already fed.
        """
        recent = self._recent.get(topic)
        if recent and recent.position is None:
            recent.restart(at)
            self.poller.wake()

    def wake(self, topic: TopicName) -> None:
        """An event was just published on `topic`: read it soon, if anybody here follows it."""
        if self._knows(topic):
            self.poller.wake()

    async def locate(
        self, topics: Collection[TopicName], *, charge: Charge = free
    ) -> dict[TopicName, EventId]:
        """The newest position of each topic; located ones cost no command.

        Those who ask at the same time share one round trip, and one more for the topics that
        were never used, which are written; `charge` is told how many these are for this caller.
        Raises `RedisError`, and what `charge` raises.
        """
        known = self._known(topics)
        unknown = set(topics) - known.keys()
        if not unknown:
            return known
        found = await self._last(unknown)
        if new := unknown - found.keys():
            charge(len(new))
            found |= await self._begun(new)
        # The hub may have moved on while the reply was under way: then where it stands counts,
        # or the reader would be behind it from the start.
        return known | {topic: self.position(topic) or found[topic] for topic in unknown}

    async def _find(self, topics: AbstractSet[TopicName]) -> dict[TopicName, EventId]:
        known = self._known(topics)  # the call before may have located some of them
        return self._anchored(known | await self._log.last(topics - known.keys()))

    async def _begin(self, topics: AbstractSet[TopicName]) -> dict[TopicName, EventId]:
        known = self._known(topics)  # another reader may have begun them meanwhile
        return self._anchored(known | await self._log.begin(topics - known.keys()))

    def _known(self, topics: Iterable[TopicName]) -> dict[TopicName, EventId]:
        return {topic: at for topic in topics if (at := self.position(topic)) is not None}

    def _anchored(self, found: dict[TopicName, EventId]) -> dict[TopicName, EventId]:
        for topic, at in found.items():
            self.anchor(topic, at)
        return found

    def _knows(self, topic: TopicName) -> bool:
        return self.position(topic) is not None

    def is_level(self, positions: Mapping[TopicName, EventId]) -> bool:
        """Whether a reader at `positions` can be fed without losing or repeating an event."""
        return all(self.position(topic) == at for topic, at in positions.items())

    def feed(
        self, connection: Connection, selection: Selection, positions: Mapping[TopicName, EventId]
    ) -> None:
        """Feed a connection, which must be level, until `drop`."""
        cohort = self._cohorts.get(selection)
        if cohort is None:
            cohort = Cohort(selection, positions, lag_max_bytes=self._lag_max_bytes)
            self._cohorts[selection] = cohort
            for topic in selection.topics:
                self._watchers.setdefault(topic, set()).add(selection)
        cohort.add(connection)
        self._fed[connection] = cohort

    def drop(self, connection: Connection) -> None:
        """Stop what is being sent, and feed the connection no longer."""
        connection.drop()
        cohort = self._fed.pop(connection, None)
        if cohort is None:  # it was still catching up
            return
        cohort.remove(connection)
        if cohort.members:
            return
        del self._cohorts[cohort.selection]
        for topic in cohort.selection.topics:
            self._watchers[topic].discard(cohort.selection)
            if not self._watchers[topic]:
                del self._watchers[topic]

    @property
    def movement(self) -> asyncio.Event:
        """An event of asyncio that is set when the poller next brings news or finds a gap.

        Take it before looking for what there is: one taken afterwards would miss what came in
        between, and be waited for in vain.
        """
        return self._moved

    async def deliver(self, pages: Mapping[TopicName, LogPage]) -> int:
        """Hand out the pages that the poller read. Returns how many events were new.

        All is encoded and all positions are moved before the first send. Sending lets other
        tasks run; a connection that is added meanwhile so stands behind these events and does
        not get them twice.
        """
        news = {topic: page for topic, page in pages.items() if self._take_in(topic, page)}
        cohorts = self._affected(news)
        for cohort in cohorts:
            mine = [news[topic] for topic in cohort.selection.topics if topic in news]
            ends = {t: news[t].end for t in cohort.selection.topics if t in news}
            events = merge(*(page.events for page in mine), key=attrgetter("id"))
            shown = cohort.take_in(list(events), ends)
            self._metrics.delivered.inc(shown * len(cohort.members))
        await self._send(cohorts, moved=bool(news))
        return sum(len(page.events) for page in news.values())

    async def reset(self, restarts: Restarts) -> None:
        """Tell the readers of these topics that events were lost; go on where `restarts` says."""
        for topic, (head, reason) in restarts.items():
            if recent := self._recent.get(topic):
                recent.restart(head)
            for cohort in self._affected([topic]):
                cohort.take_reset(topic, head, reason)
        await self._send(self._affected(restarts), moved=True)

    def _take_in(self, topic: TopicName, page: LogPage) -> bool:
        recent = self._recent.get(topic)
        # The topic may have been forgotten, and even located anew, while the poll was under way.
        if recent is None or recent.position != page.start or page.end == page.start:
            return False
        recent.extend(page.events, end=page.end, now=self._monotonic())
        return True

    def _affected(self, topics: Iterable[TopicName]) -> list[Cohort]:
        selections = {
            selection: None for topic in topics for selection in self._watchers.get(topic, ())
        }
        return [self._cohorts[selection] for selection in selections]

    async def _send(self, cohorts: Iterable[Cohort], *, moved: bool) -> None:
        # Before the sends: a reader that is woken here stands behind these events as well, and does
        # not have to wait for slow sends to others.
        if moved:
            self._moved.set()
            self._moved = asyncio.Event()
        for cohort in cohorts:
            await cohort.fan_out()
