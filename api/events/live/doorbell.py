"""Wake-ups by pub/sub: faster than polling, and nearly free while nothing is published.

A publisher sends a wake-up that names the topic; the processes that read it poll at once. The
events themselves are always read from the log. The poller also goes on at a slow pace, so a
wake-up that is lost costs time and never an event.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import aclosing

import structlog

from api.events.topic import TopicName
from api.retry import growing_pauses
from api.upstash import RedisError, UpstashClient

CHANNEL = "millrace:doorbell"
RECONNECT_S = (0.1, 10.0)
SILENT_POLLS = 10

log = structlog.get_logger()


def wake_up_commands(topics: Sequence[TopicName]) -> list[list[str]]:
    """The commands that tell all processes of news on `topics`: one billed command each."""
    return [["PUBLISH", CHANNEL, topic] for topic in topics]


class Doorbell:
    """The one subscription of a process. `is_connected` says that wake-ups arrive now."""

    def __init__(self, client: UpstashClient, *, rng: random.Random) -> None:
        self._client = client
        self._rng = rng
        self.is_connected = False
        self._unannounced = 0
        self._has_told = False

    def note_poll(self, events: int) -> None:
        """Note how many events a poll found; warns once if no wake-up ever tells of them.

        Then publishers run without the doorbell. A wake-up may be late by a round trip, so each
        one starts the count anew.
        """
        if not events or not self.is_connected or self._has_told:
            return
        self._unannounced += 1
        if self._unannounced >= SILENT_POLLS:
            self._has_told = True
            log.warning("doorbell.silent", polls=self._unannounced)

    async def listen(self, on_wake_up: Callable[[str | None], None]) -> None:
        """Call `on_wake_up` with the topic of each wake-up.

        With None after every connect, when some may have been missed, and after every loss, for
        then the pace is that of a process without a doorbell. Never returns: a subscription
        that ends is renewed after a pause.
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
