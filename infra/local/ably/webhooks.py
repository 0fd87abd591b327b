"""What a webhook endpoint is still to be told, in order. No I/O."""

from __future__ import annotations

import base64
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from infra.local.ably.channel import Channel, Entry
from infra.local.ably.clock import Clock
from infra.local.ably.codec import Format, encode
from infra.local.ably.keys import Key
from infra.local.ably.occupancy import status

MAX_ITEMS = 50
KEPT_MS = 300_000
_SENT_KEPT = 100


@dataclass(frozen=True, slots=True)
class Item:
    """One event; it is kept for five minutes."""

    at_ms: int
    body: dict[str, Any]


class Backlog:
    """Events of the app of `key`, until they are delivered. `wake` is called for a new one."""

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
        """How many events are still to be delivered, repeats included."""
        return len(self._items) + sum(map(len, self._again))

    def published(self, app_id: str, channel: Channel, entry: Entry) -> None:
        """Note messages or presence events; a watcher of channels."""
        source = "channel.presence" if entry.is_presence else "channel.message"
        kind = "presence" if entry.is_presence else "messages"
        name = "presence.message" if entry.is_presence else source
        event = {"source": source, "serial": entry.serial, "name": name}
        self._add(app_id, channel, event, {kind: entry.messages})

    def lifecycle(self, app_id: str, channel: Channel, event: str) -> None:
        """Note that a channel became active, or is no longer."""
        origin = {"source": "channel.lifecycle", "serial": self._clock.stamp(), "name": event}
        self._add(app_id, channel, origin, {"status": status(channel)["status"]})

    def batch(self) -> list[Item]:
        """What to deliver next, oldest first; empty when all is delivered or too old."""
        if self._again:
            return self._again[0]
        oldest_ms = self._clock.now_ms() - KEPT_MS
        while self._items and self._items[0].at_ms < oldest_ms:
            self._items.popleft()
        return [self._items[index] for index in range(min(MAX_ITEMS, len(self._items)))]

    def done(self, batch: list[Item]) -> None:
        """The endpoint has taken it."""
        if self._again and self._again[0] is batch:
            self._again.popleft()
            return
        # Some may have been dropped or cleared while it was under way.
        taken = set(map(id, batch))
        before = len(self._items)
        while self._items and id(self._items[0]) in taken:
            self._items.popleft()
        if len(self._items) < before:
            self._sent.append(batch)

    def repeat(self, times: int) -> int:
        """Deliver the last batches again, newest first, each from its end; how many that is."""
        for _ in range(times):
            self._again.extend([*reversed(batch)] for batch in reversed(self._sent))
        self._wake()
        return times * len(self._sent)

    def clear(self) -> None:
        self._items.clear()
        self._sent.clear()
        self._again.clear()

    def signed(self, batch: list[Item]) -> tuple[bytes, dict[str, str]]:
        """The body of a delivery, and the headers that vouch for it."""
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
