"""Everyone who reads in this process: what they watch, where it stands, who gets what."""

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


class Hub:
    """The readers of one process, fed by one poller.

    `poller(hub)` makes that poller. The hub wakes it whenever reading the logs may be worth
    while: for a new reader, for an event published here, and when the last reader has left.
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
        """Keep these topics in memory until `unwatch`, as often as this was called."""
        for topic in topics:
            self._recent.setdefault(topic, RecentEvents()).readers += 1

    def unwatch(self, topics: Iterable[TopicName]) -> None:
        for topic in topics:
            recent = self._recent[topic]
            recent.readers -= 1
            if not recent.readers:
                del self._recent[topic]
        if not self.follows_anything:
            self.poller.wake()

    @property
    def follows_anything(self) -> bool:
        """Whether there is a watched topic whose place in its log is known."""
        return any(recent.position is not None for recent in self._recent.values())

    def positions(self) -> dict[TopicName, EventId]:
        """Where each watched topic stands that has been located."""
        return self._known(self._recent)

    def had_news_since(self, moment: float) -> set[TopicName]:
        """The watched topics that have had news since `moment`."""
        return {topic for topic, recent in self._recent.items() if recent.last_news_at >= moment}

    def position(self, topic: TopicName) -> EventId | None:
        """Where this process stands on `topic`; None if it does not know."""
        recent = self._recent.get(topic)
        return recent.position if recent else None

    def after(self, topic: TopicName, at: EventId) -> Sequence[Event] | None:
        """The events after `at` from memory; None where memory cannot prove them complete."""
        recent = self._recent.get(topic)
        return recent.after(at) if recent and recent.position is not None else None

    def anchor(self, topic: TopicName, at: EventId) -> None:
        """Start to follow a watched topic from `at`, which stands in its log."""
        recent = self._recent.get(topic)
        if recent and recent.position is None:
            recent.restart(at)
            self.poller.wake()

    def wake(self, topic: TopicName) -> None:
        """Something was just published on `topic`: read it soon, if anybody here wants it."""
        if self._knows(topic):
            self.poller.wake()

    async def locate(
        self, topics: Collection[TopicName], *, charge: Charge = free
    ) -> dict[TopicName, EventId]:
        """Where "now" is; for topics that this process follows without a command.

        Those who ask at the same time share one round trip, and one more for the topics that
        were never used: each is charged for its own. Raises `RedisError`, and what `charge` does.
        """
        known = self._known(topics)
        unknown = set(topics) - known.keys()
        if not unknown:
            return known
        found = await self._last(unknown)
        if new := unknown - found.keys():
            charge(len(new))
            found |= await self._begun(new)
        return known | {topic: self.position(topic) or found[topic] for topic in unknown}

    async def _find(self, topics: AbstractSet[TopicName]) -> dict[TopicName, EventId]:
        known = self._known(topics)
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
        """Whether a reader at `positions` can be fed without a hole or a repeat."""
        return all(self.position(topic) == at for topic, at in positions.items())

    def feed(
        self, connection: Connection, selection: Selection, positions: Mapping[TopicName, EventId]
    ) -> None:
        """Feed a connection that is level, until `drop`."""
        cohort = self._cohorts.get(selection)
        if cohort is None:
            cohort = Cohort(selection, positions, lag_max_bytes=self._lag_max_bytes)
            self._cohorts[selection] = cohort
            for topic in selection.topics:
                self._watchers.setdefault(topic, set()).add(selection)
        cohort.add(connection)
        self._fed[connection] = cohort

    def drop(self, connection: Connection) -> None:
        connection.drop()
        cohort = self._fed.pop(connection, None)
        if cohort is None:
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
        """Set when the poller next brings something or finds a gap.

        Taken before looking at what there is, or what comes meanwhile is waited for in vain.
        """
        return self._moved

    async def deliver(self, pages: Mapping[TopicName, LogPage]) -> int:
        """Hand out what the poller read; the number of events that were new.

        Everything is encoded and every position moved before the first send, so whoever
        joins while sends go on joins behind these events.
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
        """Tell all readers of these topics that events were lost, and go on at their heads."""
        for topic, (head, reason) in restarts.items():
            if recent := self._recent.get(topic):
                recent.restart(head)
            for cohort in self._affected([topic]):
                cohort.take_reset(topic, head, reason)
        await self._send(self._affected(restarts), moved=True)

    def _take_in(self, topic: TopicName, page: LogPage) -> bool:
        recent = self._recent.get(topic)
        # The topic may have been left, and even located anew, while the poll was under way.
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
        if moved:
            self._moved.set()
            self._moved = asyncio.Event()
        for cohort in cohorts:
            await cohort.fan_out()
