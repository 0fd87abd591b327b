"""Webhooks: the events that an endpoint has not taken yet, and their delivery.

Source: https://ably.com/docs/integrations/webhooks
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from infra.local.ably.channel.channel import Channel, Entry
from infra.local.ably.channel.occupancy import status
from infra.local.ably.clock import Clock
from infra.local.ably.keys_and_tokens.keys import Key
from infra.local.ably.protocol import Format, encode

_FACTOR = 2**0.5
_MAX_PAUSE_S = 60.0
_ANSWER_S = 10.0

MAX_ITEMS = 50
KEPT_MS = 300_000
_SENT_KEPT = 100


@dataclass(frozen=True, slots=True)
class Item:
    """One event, which is kept for five minutes."""

    at_ms: int
    body: dict[str, Any]


class Backlog:
    """The events of the app of `key` until they are delivered, without I/O.

    `wake` is called when there is something to deliver.
    """

    def __init__(self, key: Key, clock: Clock, wake: Callable[[], None]) -> None:
        self.is_wanted = False
        self._key = key
        self._clock = clock
        self._wake = wake
        self._items: deque[Item] = deque()
        self._sent: deque[list[Item]] = deque(maxlen=_SENT_KEPT)
        self._again: deque[list[Item]] = deque()

    @property
    def waiting(self) -> int:
        """How many events are still to be delivered, with those that are to be repeated."""
        return len(self._items) + sum(map(len, self._again))

    def published(self, app_id: str, channel: Channel, entry: Entry) -> None:
        """Note messages or presence events of a channel."""
        source = "channel.presence" if entry.is_presence else "channel.message"
        kind = "presence" if entry.is_presence else "messages"
        name = "presence.message" if entry.is_presence else source
        event = {"source": source, "serial": entry.serial, "name": name}
        self._add(app_id, channel, event, {kind: entry.messages})

    def lifecycle(self, app_id: str, channel: Channel, event: str) -> None:
        """Note that a channel became active, or is active no longer."""
        origin = {"source": "channel.lifecycle", "serial": self._clock.stamp(), "name": event}
        self._add(app_id, channel, origin, {"status": status(channel)["status"]})

    def batch(self) -> list[Item]:
        """The events to deliver next, oldest first; empty when there are none."""
        if self._again:
            return self._again[0]
        oldest_ms = self._clock.now_ms() - KEPT_MS
        while self._items and self._items[0].at_ms < oldest_ms:
            self._items.popleft()
        return [self._items[index] for index in range(min(MAX_ITEMS, len(self._items)))]

    def done(self, batch: list[Item]) -> None:
        """Forget the events of a batch, which the endpoint has taken."""
        if self._again and self._again[0] is batch:
            self._again.popleft()
            return
        # Some of them may have become too old, or been cleared, while the batch was on its way.
        taken = set(map(id, batch))
        before = len(self._items)
        while self._items and id(self._items[0]) in taken:
            self._items.popleft()
        if len(self._items) < before:
            self._sent.append(batch)

    def repeat(self, times: int) -> int:
        """Deliver the last batches again, out of order. Returns how many batches that will be.

        The newest batch comes first, and in each batch the newest event.
        """
        for _ in range(times):
            self._again.extend([*reversed(batch)] for batch in reversed(self._sent))
        self._wake()
        return times * len(self._sent)

    def clear(self) -> None:
        self._items.clear()
        self._sent.clear()
        self._again.clear()

    def signed(self, batch: list[Item]) -> tuple[bytes, dict[str, str]]:
        """The body of a delivery, and its headers with the signature."""
        body = encode({"items": [item.body for item in batch]}, Format.JSON)
        return body, {
            "Content-Type": Format.JSON.media_type,
            "X-Ably-Version": "1.2",
            "X-Ably-Key": self._key.name,
            "X-Ably-Signature": base64.b64encode(self._key.sign(body)).decode(),
        }

    def _add(
        self, app_id: str, channel: Channel, event: dict[str, str], content: dict[str, Any]
    ) -> None:
        if not self.is_wanted or app_id != self._key.app_id:
            return
        now_ms = self._clock.now_ms()
        origin = {"webhookId": secrets.token_hex(4), "timestamp": now_ms}
        data = {"channelId": channel.name, "site": "local", **content}
        self._items.append(Item(now_ms, {**origin, **event, "data": data}))
        self._wake()


class Delivery:
    """Posts one batch at a time to `url`, until the endpoint has taken it."""

    def __init__(
        self, key: Key, clock: Clock, *, url: str, interval_s: float, retry_s: float
    ) -> None:
        self._news = asyncio.Event()
        self.backlog = Backlog(key, clock, self._news.set)
        self._interval_s = interval_s
        self._retry_s = retry_s
        self._url = ""
        self.turn_to(url)

    def turn_to(self, url: str) -> None:
        """Deliver to this address from now on. When it is empty, nothing is noted either."""
        self._url = url
        self.backlog.is_wanted = bool(url)
        self.backlog.clear()
        self._news.set()

    async def run(self) -> None:
        """Deliver until cancelled. A delivery that fails is repeated after longer and longer."""
        pause_s = self._retry_s
        # The endpoint is on loopback, which no proxy of the environment can reach.
        async with httpx.AsyncClient(timeout=_ANSWER_S, trust_env=False) as http:
            while True:
                self._news.clear()
                if not self._url or not self.backlog.batch():
                    await self._news.wait()
                elif await self._deliver(http):
                    pause_s = self._retry_s
                    await asyncio.sleep(self._interval_s)
                else:
                    await asyncio.sleep(pause_s)
                    pause_s = min(pause_s * _FACTOR, _MAX_PAUSE_S)

    async def _deliver(self, http: httpx.AsyncClient) -> bool:
        batch = self.backlog.batch()
        body, headers = self.backlog.signed(batch)
        with contextlib.suppress(httpx.HTTPError, httpx.InvalidURL):
            answer = await http.post(self._url, content=body, headers=headers)
            if answer.is_success:
                self.backlog.done(batch)
                return True
        return False
