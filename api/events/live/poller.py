"""The poller: reads the logs of all located topics with one `XREAD` and passes events to the hub.

It polls often after an event and less and less often while nothing happens, because each poll is a
billed command. A wake-up, from this process or through the doorbell, makes it poll at once.
"""

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from contextvars import Context
from dataclasses import dataclass
from itertools import islice

import structlog

from api.events.event import EventId
from api.events.live.doorbell import Doorbell
from api.events.live.hub import Hub
from api.events.log.topic_log import TopicLog
from api.events.topic import TopicName
from api.telemetry.metrics import Metrics
from api.upstash import RedisError

TOPICS_AT_ONCE = 500  # in one `XREAD`
EVENTS_PER_POLL = 2000  # of all topics together, so that a reply stays below Upstash's 10 MB
EVENTS_PER_TOPIC = 100  # in one `XREAD`
MIN_GAP_S = 0.02  # between polls, also when many publishes of this process wake the poller
HOT_S = 2.0  # so long after an event its topic is `anchored`: see `TopicLog.read_after`
PATIENCE = 2  # silent polls before the pause grows
JITTER = 0.1  # of each pause, so that processes do not poll at the same moments

log = structlog.get_logger()


@dataclass(slots=True)
class Pace:
    """The pause between polls, in seconds: short after an event, then growing up to a maximum.

    `longest_with_doorbell_s` is the maximum while the doorbell is connected. The first polls
    without events keep the short pause: if it grew at once, then at a few events a second most
    events would wait longer than the shortest pause. `pause_s` and `silent` are the current pause
    and the number of polls without events.
    """

    shortest_s: float
    longest_s: float
    longest_with_doorbell_s: float
    pause_s: float = 0.0
    silent: int = 0

    def after(self, *, news: bool, has_doorbell: bool) -> float:
        """Return the pause after a poll; `news` says whether it found events.

        With a connected doorbell the pause grows faster and up to a larger maximum, because polls
        are then needed only for lost wake-ups.
        """
        if news:
            self.quicken()
            return self.pause_s
        self.silent += 1
        cap, growth = (self.longest_with_doorbell_s, 4.0) if has_doorbell else (self.longest_s, 1.5)
        if not has_doorbell and self.silent <= PATIENCE:
            growth = 1.0
        self.pause_s = min(cap, self.pause_s * growth)
        return self.pause_s

    def quicken(self) -> None:
        """Begin again with the shortest pause, because events are expected."""
        self.pause_s, self.silent = self.shortest_s, 0


class Poller:
    """Polls for all readers of a process. It runs while any topic is located in the hub.

    `doorbell` is None if the setting is off. `clock` returns seconds since 1970, to tell how old
    events are; `monotonic` measures the pauses; `rng` is for their jitter.
    """

    def __init__(
        self,
        hub: Hub,
        topic_log: TopicLog,
        *,
        pace: Pace,
        doorbell: Doorbell | None,
        metrics: Metrics,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        rng: random.Random,
    ) -> None:
        self._log = topic_log
        self._hub = hub
        self._pace = pace
        self._doorbell = doorbell
        self._metrics = metrics
        self._clock = clock
        self._monotonic = monotonic
        self._rng = rng
        self._awake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._is_failing = False

    def wake(self) -> None:
        """Poll soon. Starts the task if it does not run, and stops it if no topic is located."""
        if not self._hub.follows_anything:
            if self._task is not None:
                self._task.cancel()
                self._task = None
            return
        self._pace.quicken()
        self._awake.set()
        if self._task is None or self._task.done():
            # In a context of its own: otherwise its logs would name the request that woke it.
            loop = asyncio.get_running_loop()
            self._task = loop.create_task(self._run(), context=Context())

    async def close(self) -> None:
        """Stop polling, and return when the task has ended."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def run_once(self) -> tuple[int, bool]:
        """Read all watched topics whose position is known, once, and pass the events to the hub.

        Returns how many events came, and whether there are more to read at once. Raises
        `RedisError`. What the hub has taken before an error stays with it, and the next poll reads
        the rest.
        """
        hot = self._hub.had_news_since(self._monotonic() - HOT_S)
        events, more = 0, False
        for positions in _chunks(self._hub.positions()):
            limit = min(EVENTS_PER_TOPIC, EVENTS_PER_POLL // len(positions))
            pages = await self._log.read_after(
                positions, limit=limit, anchored=hot & positions.keys()
            )
            gaps = {topic: page for topic, page in pages.items() if page.gap}
            came = await self._hub.deliver({t: p for t, p in pages.items() if not p.gap})
            if gaps:
                restarts = await self._log.restart(gaps)
                # A topic may have been forgotten during the reads and located again: its readers
                # have other positions now and have lost nothing.
                is_same = {t for t, page in gaps.items() if self._hub.position(t) == page.start}
                restarts = {t: restart for t, restart in restarts.items() if t in is_same}
                await self._hub.reset(restarts)
                self._metrics.resets.inc(len(restarts))
            newest = max((p.events[-1].id.ms for p in pages.values() if p.events), default=None)
            self._metrics.polled(newest_ms=newest, now=self._clock())
            events += came
            more = more or any(page.more for page in pages.values())
        return events, more

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            if self._doorbell is not None:
                tasks.create_task(self._doorbell.listen(self._on_wake_up))
            tasks.create_task(self._poll())

    def _on_wake_up(self, topic: str | None) -> None:
        """Poll at once for a wake-up of `topic`; None: one may have come while nobody listened."""
        if topic is None or self._hub.position(TopicName(topic)) is not None:
            self._pace.quicken()
            self._awake.set()

    async def _poll(self) -> None:
        while True:
            began = self._monotonic()
            # Before the read: a wake-up during it may be for an event that it did not see, and
            # has to cause another poll.
            self._awake.clear()
            events, more = await self._try_once()
            if self._doorbell is not None:
                self._doorbell.note_poll(events)
            if not more:
                await self._rest(began, news=events > 0)

    async def _try_once(self) -> tuple[int, bool]:
        """Do as `run_once`, but only log and count a failure: the next poll is the retry."""
        try:
            result = await self.run_once()
        except RedisError as error:
            self._failed(type(error).__name__)
            return 0, False
        except Exception:
            # Any exception is caught: without this loop no reader of the process gets anything.
            log.exception("poller.broken")
            self._failed("bug")
            return 0, False
        if self._is_failing:
            log.info("poller.recovered")
        self._is_failing = False
        return result

    def _failed(self, error: str) -> None:
        self._metrics.poll_errors.inc()
        if not self._is_failing:
            log.warning("poller.failing", error=error)
        self._is_failing = True

    async def _rest(self, began: float, *, news: bool) -> None:
        """Wait for the pause to pass, less the time that the poll took, or for a wake-up."""
        has_doorbell = self._doorbell is not None and self._doorbell.is_connected
        pause = self._pace.after(news=news, has_doorbell=has_doorbell)
        pause *= self._rng.uniform(1 - JITTER, 1 + JITTER)
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, began + pause - self._monotonic())):
                await self._awake.wait()
        gap = began + MIN_GAP_S - self._monotonic()
        if gap > 0:
            await asyncio.sleep(gap)


def _chunks(positions: Mapping[TopicName, EventId]) -> Iterator[dict[TopicName, EventId]]:
    rest = iter(positions.items())
    while some := dict(islice(rest, TOPICS_AT_ONCE)):
        yield some
