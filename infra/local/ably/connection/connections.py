"""The Realtime connections of one app."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from infra.local.ably.channel.channel import Channels
from infra.local.ably.clock import Clock
from infra.local.ably.connection.connection import Connection
from infra.local.ably.connection.outbox import Outbox
from infra.local.ably.keys_and_tokens.keys import Grant
from infra.local.ably.keys_and_tokens.tokens import Tokens
from infra.local.ably.protocol import AblyError

_MAX_ENDED = 1_000


class Connections:
    """Connections by key: those with a socket, and those that may still be resumed."""

    def __init__(self, channels: Channels, tokens: Tokens, clock: Clock) -> None:
        self._channels = channels
        self._tokens = tokens
        self._clock = clock
        self._by_key: dict[str, Connection] = {}
        self._ended: deque[str] = deque(maxlen=_MAX_ENDED)

    def connect(self, grant: Grant, query: Mapping[str, str], outbox: Outbox) -> Connection:
        """Open a connection, or resume the one that `resume` or `recover` names; send CONNECTED."""
        key = query.get("resume") or query.get("recover")
        known = self._by_key.get(key or "")
        if known is not None and known.grant.client_id == grant.client_id:
            known.resume(grant, outbox)
            known.welcome()
            return known
        connection = Connection(
            channels=self._channels,
            tokens=self._tokens,
            clock=self._clock,
            grant=grant,
            outbox=outbox,
            is_echoed=query.get("echo") != "false",
        )
        self._by_key[connection.key] = connection
        connection.welcome(None if key is None else self._not_resumed(key))
        return connection

    def find(self, key: str) -> Connection | None:
        return self._by_key.get(key)

    def live(self) -> list[Connection]:
        return [one for one in self._by_key.values() if one.is_live]

    def tick(self) -> None:
        """Do what is due in each, and forget those that are over."""
        now_ms = self._clock.now_ms()
        for connection in list(self._by_key.values()):
            connection.tick(now_ms)
        for key in [key for key, one in self._by_key.items() if one.is_over]:
            del self._by_key[key]
            self._ended.append(key)

    def clear(self) -> None:
        """Cut all connections and forget them."""
        for connection in self._by_key.values():
            connection.cut()
        self._by_key.clear()
        self._ended.clear()

    def _not_resumed(self, key: str) -> AblyError:
        if key in self._by_key or key in self._ended:
            return AblyError(80008, 400, "the connection cannot be resumed")
        return AblyError(80018, 400, "the connection key is not known")
