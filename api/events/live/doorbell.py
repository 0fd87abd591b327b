"""Wake-ups by pub/sub, for delivery faster than polling and idle costs near zero.

Only a hint: the line names a topic, the events themselves are always read from the log. A
lost ring costs time and never an event, as the poller goes on at a slow pace.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import aclosing

import structlog

from api.events.topic import TopicName
from api.upstash import RedisError, UpstashClient

CHANNEL = "millrace:doorbell"
RECONNECT_S = (0.1, 10.0)
SILENT_POLLS = 10

log = structlog.get_logger()


def wake_up_commands(topics: Sequence[TopicName]) -> list[list[str]]:
    """The commands that ring for `topics`: one billed command each."""
    return [["PUBLISH", CHANNEL, topic] for topic in topics]


class Doorbell:
    """One subscription for the whole process."""

    def __init__(self, client: UpstashClient, *, rng: random.Random) -> None:
        self._client = client
        self._rng = rng
        self.is_connected = False
        self._unannounced = 0
        self._has_told = False

    def note_poll(self, events: int) -> None:
        """Note what a poll note_poll, to tell once when all of it came without a ring.

        A ring that is late by a round trip does not count as missing: it starts the count anew.
        """
        if not events or not self.is_connected or self._has_told:
            return
        self._unannounced += 1
        if self._unannounced >= SILENT_POLLS:
            self._has_told = True
            log.warning("doorbell.silent", polls=self._unannounced)

    async def listen(self, on_wake_up: Callable[[str | None], None]) -> None:
        """Call `on_wake_up` with each topic that rings; with None after every connect.

        Goes on for ever: a subscription that ends is renewed after a jittered pause.
        """
        shortest, longest = RECONNECT_S
        pause = shortest
        while True:
            try:
                async with aclosing(self._client.listen(CHANNEL)) as messages:
                    async for topic in messages:
                        pause = shortest
                        self.is_connected = True
                        if topic:
                            self._unannounced = 0
                        on_wake_up(topic or None)
            except RedisError as error:
                log.info("doorbell.lost", error=type(error).__name__)
            finally:
                self.is_connected = False
            on_wake_up(None)
            await asyncio.sleep(pause * self._rng.uniform(0.5, 1.5))
            pause = min(longest, pause * 2)
