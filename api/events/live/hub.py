"""The hub: which topics the readers of this process watch, and who gets which events.

The poller passes pages of the logs to `deliver`. The hub keeps the newest events of each topic in
memory and hands events to the cohorts whose members read the topic. A new reader first catches up
(`CatchUp`) and is fed from here when its positions are those of the hub.

A topic is first *watched*, while any reader wants it. It is *located* when its position in the log
is known; from then on the poller reads it. It is forgotten when nobody watches it any more.
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
"""The topics that lost events: where each goes on (its newest entry), and why events were lost."""


class Hub:
    """All readers of one process, fed by one poller.

    `poller(hub)` builds that poller. The hub wakes it when a topic is newly located and when an
    event was published in this process. It also wakes it when no topic is located any more, so that
    it stops. `lag_max_bytes` limits the backlog of each cohort.
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
        """Watch these topics. Each call must be undone by one call of `unwatch`."""
        for topic in topics:
            self._recent.setdefault(topic, RecentEvents()).readers += 1

    def unwatch(self, topics: Iterable[TopicName]) -> None:
        """Undo one `watch` of these topics, and forget those that nobody watches any more."""
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
        """Return the position of each located topic."""
        return self._known(self._recent)

    def had_news_since(self, moment: float) -> set[TopicName]:
        """Return the watched topics with events since `moment`, in monotonic seconds."""
        return {topic for topic, recent in self._recent.items() if recent.last_news_at >= moment}

    def position(self, topic: TopicName) -> EventId | None:
        """Return this process's position in the log of `topic`; None if it is not located."""
        recent = self._recent.get(topic)
        return recent.position if recent else None

    def after(self, topic: TopicName, at: EventId) -> Sequence[Event] | None:
        """Return the events after `at` from memory, oldest first.

        None means that some may be missing there, so that the log has to be read.
        """
        recent = self._recent.get(topic)
        return recent.after(at) if recent and recent.position is not None else None

    def anchor(self, topic: TopicName, at: EventId) -> None:
        """Locate a watched topic at `at`, the id of an entry of its log.

        Does nothing if it is located already. Only the first reader that finds a position sets it:
        setting it again would skip or repeat events for the readers that are fed already.
        """
        recent = self._recent.get(topic)
        if recent and recent.position is None:
            recent.restart(at)
            self.poller.wake()

    def wake(self, topic: TopicName) -> None:
        """Make the poller read soon, if `topic` is located.

        For events published in this process.
        """
        if self.position(topic) is not None:
            self.poller.wake()

    async def locate(
        self, topics: Collection[TopicName], *, charge: Charge = free
    ) -> dict[TopicName, EventId]:
        """Return the newest position of each topic. Located topics cost no command.

        Callers at the same time share one request, and one more for the topics that were never
        used, for which a genesis entry is written. `charge` is called before with the number of
        these. Raises `RedisError` and what `charge` raises.
        """
        known = self._known(topics)
        unknown = set(topics) - known.keys()
        if not unknown:
            return known
        found = await self._last(unknown)
        if new := unknown - found.keys():
            charge(len(new))
            found |= await self._begun(new)
        # The hub may have moved on while the reply was under way. Then its position counts:
        # otherwise the reader would start at an older position than the hub has.
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

    def is_level(self, positions: Mapping[TopicName, EventId]) -> bool:
        """Return whether a reader at `positions` can be fed without a lost or repeated event."""
        return all(self.position(topic) == at for topic, at in positions.items())

    def feed(
        self, connection: Connection, selection: Selection, positions: Mapping[TopicName, EventId]
    ) -> None:
        """Add a connection to the cohort of its selection, which sends it events until `drop`.

        The reader must be level at `positions`: see `is_level`.
        """
        cohort = self._cohorts.get(selection)
        if cohort is None:
            cohort = Cohort(selection, positions, lag_max_bytes=self._lag_max_bytes)
            self._cohorts[selection] = cohort
            for topic in selection.topics:
                self._watchers.setdefault(topic, set()).add(selection)
        cohort.add(connection)
        self._fed[connection] = cohort

    def drop(self, connection: Connection) -> None:
        """Remove a connection from its cohort, if any, and cancel what is being sent to it."""
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
        """An asyncio event that is set when the poller next brings events or finds a gap.

        Take it before looking for events and wait for it afterwards. One that is taken after
        looking would miss what came in between.
        """
        return self._moved

    async def deliver(self, pages: Mapping[TopicName, LogPage]) -> int:
        """Hand out the pages that the poller has read. Return how many events were new.

        Everything is encoded and all positions are moved before the first send. Other tasks run
        during the sends: a connection that is added then stands after these events and does not get
        them again.
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
        """Tell the readers of these topics about lost events, and go on where `restarts` says."""
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
        # Before the sends: a waiting reader that is woken here can read these events already and
        # does not have to wait for slow sends to others.
        if moved:
            self._moved.set()
            self._moved = asyncio.Event()
        for cohort in cohorts:
            await cohort.fan_out()
