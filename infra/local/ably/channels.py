"""The channels of one app."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from infra.local.ably.channel import Channel, Entry, Listener
from infra.local.ably.clock import Clock
from infra.local.ably.errors import AblyError

# Qualifiers are `[meta]` and `[?params]`; the service refuses names with any other.
_BAD_START = re.compile(r":|\[(?!meta\]|\?)")


class Attached(Listener, Protocol):
    """A listener that knows its channel."""

    @property
    def channel(self) -> Channel: ...


@dataclass(slots=True)
class Watchers:
    """Who wants to know of all that happens, with the app's id; webhooks do."""

    published: list[Callable[[str, Channel, Entry], None]] = field(default_factory=list)
    lifecycle: list[Callable[[str, Channel, str], None]] = field(default_factory=list)


class Channels:
    """Channels by name. They are made when first used, and kept."""

    def __init__(self, app_id: str, clock: Clock, watchers: Watchers) -> None:
        self._app_id = app_id
        self._clock = clock
        self._watchers = watchers
        self._channels: dict[str, Channel] = {}
        self._born = clock.stamp()

    def get(self, name: str) -> Channel:
        """The channel, made when it is new. Raises AblyError 40010 for what is no name."""
        if not name or "\n" in name or _BAD_START.match(name):
            raise AblyError(40010, 400, "the channel name is not valid")
        if name not in self._channels:
            self._channels[name] = Channel(name, self._clock, self._born, self._published)
        return self._channels[name]

    def find(self, name: str) -> Channel | None:
        return self._channels.get(name)

    def all(self) -> list[Channel]:
        return list(self._channels.values())

    def attach(self, listener: Attached) -> None:
        channel = listener.channel
        channel.listeners.append(listener)
        if len(channel.listeners) == 1:
            self._changed(channel, "channel.opened")

    def release(self, listener: Attached) -> None:
        channel = listener.channel
        channel.listeners.remove(listener)
        if not channel.listeners:
            self._changed(channel, "channel.closed")

    def clear(self) -> None:
        self._channels.clear()
        self._born = self._clock.stamp()

    def _published(self, channel: Channel, entry: Entry) -> None:
        for tell in self._watchers.published:
            tell(self._app_id, channel, entry)

    def _changed(self, channel: Channel, event: str) -> None:
        for tell in self._watchers.lifecycle:
            tell(self._app_id, channel, event)
