"""All apps of this server. They share the time, the keys and the tokens."""

from __future__ import annotations

from typing import Protocol

from infra.local.ably.channel.channel import Channels, Watchers
from infra.local.ably.clock import Clock
from infra.local.ably.connection.connections import Connections
from infra.local.ably.keys_and_tokens.credentials import Credentials
from infra.local.ably.keys_and_tokens.keys import Grant, Key, Keyring
from infra.local.ably.keys_and_tokens.tokens import Tokens


class Stream(Protocol):
    """A response that does not end by itself."""

    def tick(self, now_ms: int) -> None:
        """Do what is due at this time."""

    def end(self) -> None:
        """Finish the response."""


class App:
    """One app with its channels and connections, which no other app sees."""

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
    """The apps by id. An app is made when a key of it is first used."""

    def __init__(self, key: Key, clock: Clock) -> None:
        self.key = key
        self.clock = clock
        self.keys = Keyring([key])
        self.tokens = Tokens(self.keys, clock)
        self.credentials = Credentials(self.keys, self.tokens)
        self.watchers = Watchers()
        self._apps: dict[str, App] = {}

    def of(self, grant: Grant) -> App:
        """The app that the grant belongs to."""
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
        """Forget all messages, connections and tokens, and shift the time no more."""
        for app in self.all():
            app.clear()
        self.tokens.forget()
        self.clock.offset_ms = 0
