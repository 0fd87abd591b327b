"""The doorbell: wakes pollers by pub/sub, which is faster than polling.

It costs almost nothing while nothing is published. A publisher sends a wake-up that names the
topic, and the processes that read this topic poll at once. Events are always read from the log.
Pollers also go on polling at a slow pace, so a lost wake-up delays an event but never loses it.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import aclosing

import structlog

from api.events.topic import TopicName
from api.retry import growing_pauses
from api.upstash import RedisError, UpstashClient

CHANNEL = "millrace:doorbell"  # of Redis pub/sub
RECONNECT_S = (0.1, 10.0)  # shortest and longest pause before a lost subscription is renewed
SILENT_POLLS = 10  # polls with events and without a wake-up before a warning

log = structlog.get_logger()


def wake_up_commands(topics: Sequence[TopicName]) -> list[list[str]]:
    """Return the commands that wake the pollers of all processes: one billed command a topic."""
    return [["PUBLISH", CHANNEL, topic] for topic in topics]


class Doorbell:
    """The subscription of this process to wake-ups.

    `is_connected` is true while wake-ups arrive.
    """

    def __init__(self, client: UpstashClient, *, rng: random.Random) -> None:
        self._client = client
        self._rng = rng
        self.is_connected = False
        self._unannounced = 0
        self._has_told = False

    def note_poll(self, events: int) -> None:
        """Count a poll that found `events` events. Called after each poll.

        Logs one warning if `SILENT_POLLS` polls find events without any wake-up between them: then
        the publishers run without a doorbell. One poll proves nothing, because a wake-up may come
        later than the poll that finds its event.
        """
        if not events or not self.is_connected or self._has_told:
            return
        self._unannounced += 1
        if self._unannounced >= SILENT_POLLS:
            self._has_told = True
            log.warning("doorbell.silent", polls=self._unannounced)

    async def listen(self, on_wake_up: Callable[[str | None], None]) -> None:
        """Call `on_wake_up` with the topic of each wake-up. Never returns.

        It is called with None after every connect, because wake-ups may have been missed before,
        and after every loss, because polls must now be as frequent as without a doorbell. A
        subscription that ends is renewed after a pause.
        """
        pauses = growing_pauses(*RECONNECT_S, self._rng)
        while True:
            try:
                async with aclosing(self._client.listen(CHANNEL)) as messages:
                    async for topic in messages:
                        pauses = growing_pauses(*RECONNECT_S, self._rng)
                        self.is_connected = True
                        if topic:
                            self._unannounced = 0
                        on_wake_up(topic or None)
            except RedisError as error:
                log.info("doorbell.lost", error=type(error).__name__)
            finally:
                self.is_connected = False
            on_wake_up(None)
            await asyncio.sleep(next(pauses))
