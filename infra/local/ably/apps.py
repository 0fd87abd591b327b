"""All apps of this server, and what they share: the time, the keys, the tokens."""

from __future__ import annotations

from typing import Protocol

from infra.local.ably.channel.channel import Channels, Watchers
from infra.local.ably.clock import Clock
from infra.local.ably.connection.connections import Connections
from infra.local.ably.keys_and_tokens.credentials import Credentials
from infra.local.ably.keys_and_tokens.keys import Grant, Key, Keyring
from infra.local.ably.keys_and_tokens.tokens import Tokens


class Stream(Protocol):
    """A response that goes on."""

    def tick(self, now_ms: int) -> None:
        """Do what is due by now."""

    def end(self) -> None:
        """Finish the response."""


class App:
    """One app: nothing of it is seen by the others."""

    def __init__(self, app_id: str, clock: Clock, tokens: Tokens, watchers: Watchers) -> None:
        self.id = app_id
        self.clock = clock
        self.tokens = tokens
        self.channels = Channels(app_id, clock, watchers)
        self.connections = Connections(self.channels, tokens, clock)
        self.streams: set[Stream] = set()

    def tick(self) -> None:
        self.connections.tick()
        now_ms = self.clock.now_ms()
        for stream in list(self.streams):
            stream.tick(now_ms)

    def clear(self) -> None:
        self.connections.clear()
        for stream in list(self.streams):
            stream.end()
        self.channels.clear()


class Apps:
    """Apps come with their keys."""

    def __init__(self, key: Key, clock: Clock) -> None:
        self.key = key
        self.clock = clock
        self.keys = Keyring([key])
        self.tokens = Tokens(self.keys, clock)
        self.credentials = Credentials(self.keys, self.tokens)
        self.watchers = Watchers()
        self._apps: dict[str, App] = {}

    def of(self, grant: Grant) -> App:
        """The app of whoever was let in."""
        app_id = grant.key.app_id
        if app_id not in self._apps:
            self._apps[app_id] = App(app_id, self.clock, self.tokens, self.watchers)
        return self._apps[app_id]

    def all(self) -> list[App]:
        return list(self._apps.values())

    def remove(self, app_id: str) -> None:
        self.keys.remove_app(app_id)
        if (app := self._apps.pop(app_id, None)) is not None:
            app.clear()

    def tick(self) -> None:
        for app in self.all():
            app.tick()

    def clear(self) -> None:
        """As new: no messages, no connections, no tokens, the time as it is."""
        for app in self.all():
            app.clear()
        self.tokens.forget()
        self.clock.offset_ms = 0
