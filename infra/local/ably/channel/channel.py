"""The channels of one app: the log of each, and who is attached."""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from infra.local.ably.clock import Clock
from infra.local.ably.messages import Message, is_ephemeral
from infra.local.ably.presence import Members
from infra.local.ably.protocol import AblyError, Action, Frame, Mode

# Qualifiers are `[meta]` and `[?params]`; the service refuses names with any other.
_BAD_START = re.compile(r":|\[(?!meta\]|\?)")

MAX_ENTRIES = 1_000
_MAX_IDS = 2_000


@dataclass(frozen=True, slots=True)
class Entry:
    """What was published together. `frame` is what attached clients get."""

    serial: str
    timestamp_ms: int
    frame: Frame

    @property
    def is_presence(self) -> bool:
        return bool(self.frame["action"] == Action.PRESENCE)

    @property
    def messages(self) -> list[Message]:
        found: list[Message] = self.frame["presence" if self.is_presence else "messages"]
        return found


class Listener(Protocol):
    """Somebody attached to a channel."""

    @property
    def modes(self) -> Mode: ...

    def hear(self, frame: Frame) -> None:
        """Take one frame of the channel. The listener leaves out what it does not want."""


Watcher = Callable[["Channel", Entry], None]


class Channel:
    """One channel. What is published gets a serial, goes into the log, and to all listeners."""

    def __init__(self, name: str, clock: Clock, born: str, watcher: Watcher) -> None:
        self.name = name
        self.members = Members()
        self.listeners: list[Listener] = []
        self._clock = clock
        self._watcher = watcher
        self._log: deque[Entry] = deque()
        # Nothing up to this serial can be replayed: it is from before a reset, or was dropped.
        self._floor = born
        self._last = self._floor
        self._serials: OrderedDict[str, str] = OrderedDict()

    @property
    def serial(self) -> str:
        """The position of the newest publication."""
        return self._last

    def publish(
        self, messages: list[Message], *, prefix: str, connection_id: str | None = None
    ) -> list[str]:
        """Send messages to all listeners. Returns the serial of each.

        A message without an id gets `prefix:index`. One with the id of an earlier message is not
        sent again, and its serial is the earlier one's.
        """
        serial, now_ms = self._clock.stamp(), self._clock.now_ms()
        fresh: list[Message] = []
        for index, message in enumerate(messages):
            stamped = {"id": f"{prefix}:{index}", "action": 0} | message
            if stamped["id"] in self._serials:
                continue
            stamped |= _origin(connection_id) | {
                "serial": f"{serial}:{index:03d}",
                "timestamp": now_ms,
                "version": {"serial": f"{serial}:{index:03d}", "timestamp": now_ms},
            }
            self._remember(stamped)
            fresh.append(stamped)
        if fresh:
            content = {"action": int(Action.MESSAGE), "messages": fresh}
            self._send(serial, prefix, connection_id, content)
        ids = [message.get("id", f"{prefix}:{index}") for index, message in enumerate(messages)]
        return [self._serials[one] for one in ids]

    def announce(
        self, events: list[Message], *, prefix: str, connection_id: str | None = None
    ) -> None:
        """Send presence events to all listeners, and change the members by them."""
        for event in events:
            self.members.apply(event)
        content = {"action": int(Action.PRESENCE), "presence": events}
        self._send(self._clock.stamp(), prefix, connection_id, content)

    def after(self, serial: str) -> list[Entry] | None:
        """What was published after a serial, oldest first; None when some may be gone."""
        if serial < self._floor:
            return None
        return [entry for entry in self._log if entry.serial > serial]

    def newest(self, count: int, *, since_ms: int) -> list[Entry]:
        """The entries that hold the last `count` messages, oldest first."""
        found: list[Entry] = []
        for entry in reversed(self._log):
            if entry.timestamp_ms < since_ms or sum(len(one.messages) for one in found) >= count:
                break
            if not entry.is_presence:
                found.append(entry)
        return found[::-1]

    def history(self, *, is_presence: bool) -> list[Message]:
        """All messages in the log, or all presence events, oldest first."""
        return [
            message
            for entry in self._log
            if entry.is_presence == is_presence
            for message in entry.messages
        ]

    def _remember(self, message: Message) -> None:
        self._serials[message["id"]] = message["serial"]
        if len(self._serials) > _MAX_IDS:
            self._serials.popitem(last=False)

    def _send(self, serial: str, prefix: str, connection_id: str | None, content: Frame) -> None:
        now_ms = self._clock.now_ms()
        place = {"channel": self.name, "channelSerial": serial, "id": prefix, "timestamp": now_ms}
        entry = Entry(serial, now_ms, content | place | _origin(connection_id))
        if not all(map(is_ephemeral, entry.messages)):
            self._keep(entry)
        for listener in list(self.listeners):
            listener.hear(entry.frame)
        self._watcher(self, entry)

    def _keep(self, entry: Entry) -> None:
        self._log.append(entry)
        self._last = entry.serial
        if len(self._log) > MAX_ENTRIES:
            self._floor = self._log.popleft().serial


def _origin(connection_id: str | None) -> Message:
    return {} if connection_id is None else {"connectionId": connection_id}


class Attached(Listener, Protocol):
    """A listener that knows its channel."""

    @property
    def channel(self) -> Channel: ...


@dataclass(slots=True)
class Watchers:
    """Functions that are told of all that happens, with the app's id, as webhooks need."""

    published: list[Callable[[str, Channel, Entry], None]] = field(default_factory=list)
    lifecycle: list[Callable[[str, Channel, str], None]] = field(default_factory=list)


class Channels:
    """Channels by name. A channel is made when it is first used, and kept."""

    def __init__(self, app_id: str, clock: Clock, watchers: Watchers) -> None:
        self._app_id = app_id
        self._clock = clock
        self._watchers = watchers
        self._channels: dict[str, Channel] = {}
        self._born = clock.stamp()

    def get(self, name: str) -> Channel:
        """The channel, which is made when it is new. Raises AblyError 40010 for a bad name."""
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
