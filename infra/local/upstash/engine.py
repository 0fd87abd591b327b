"""Connections to the engine: a limited pool for commands, and one for each stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from valkey.asyncio.connection import AbstractConnection, Connection, parse_url
from valkey.exceptions import ConnectionError as ValkeyConnectionError
from valkey.exceptions import ValkeyError

from infra.local.upstash.link import Link, RawParser
from infra.local.upstash.resp import Command, ProtocolError, Reply

_CONNECT_TIMEOUT_S = 2.0
_BROKEN = (ValkeyError, ProtocolError, OSError)


class EngineUnavailable(Exception):
    """The engine does not answer. Whether it ran the commands is not known."""


class EngineBusy(Exception):
    """All connections for streams are in use."""


class Engine:
    """Runs commands on at most `max_connections`, and streams on at most `max_streams` others.

    Commands wait for a connection. Streams are refused, because other streams last long.
    """

    def __init__(
        self, url: str, *, timeout_s: float, max_connections: int = 32, max_streams: int = 2000
    ) -> None:
        self._options: dict[str, Any] = dict(parse_url(url))
        self._class: type[AbstractConnection] = self._options.pop("connection_class", Connection)
        self._timeout_s = timeout_s
        self._free = asyncio.Semaphore(max_connections)
        self._idle: list[Link] = []
        self._streams = 0
        self._max_streams = max_streams

    async def exchange(self, commands: Sequence[Command]) -> list[Reply]:
        """Send the commands together on one connection. Returns one reply for each, in order.

        Raises EngineUnavailable after `timeout_s` at the latest, which includes the wait for a
        connection.
        """
        try:
            async with asyncio.timeout(self._timeout_s), self._free:
                link = await self._take()
                try:
                    replies = await link.exchange(commands)
                except BaseException:
                    # Its next bytes would be replies to these commands, not to the next ones.
                    link.drop()
                    raise
                self._idle.append(link)
                return replies
        except _BROKEN as error:
            raise EngineUnavailable(str(error) or type(error).__name__) from error

    @asynccontextmanager
    async def stream(self, command: Command) -> AsyncIterator[tuple[Link, Reply]]:
        """Send `command` on a new connection; yields the connection and the first reply.

        It is closed at the end. Raises EngineBusy, or EngineUnavailable, also when it breaks later.
        """
        if self._streams >= self._max_streams:
            raise EngineBusy
        self._streams += 1
        try:
            async with asyncio.timeout(self._timeout_s):
                link = await self._connect()
            try:
                async with asyncio.timeout(self._timeout_s):
                    [first] = await link.exchange([command])
                yield link, first
            finally:
                link.drop()
        except _BROKEN as error:
            raise EngineUnavailable(str(error) or type(error).__name__) from error
        finally:
            self._streams -= 1

    def close(self) -> None:
        """Close the idle connections. Those in use end with their exchange."""
        while self._idle:
            self._idle.pop().drop()

    async def _take(self) -> Link:
        while self._idle:
            link = self._idle.pop()
            # The engine may have closed it, and the request on it would be lost.
            if not link.is_stale:
                return link
            link.drop()
        return await self._connect()

    async def _connect(self) -> Link:
        connection = self._class(
            parser_class=RawParser,
            socket_timeout=None,
            socket_connect_timeout=_CONNECT_TIMEOUT_S,
            lib_name=None,
            lib_version=None,
            **self._options,
        )
        link = Link(connection)
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
        except BaseException:
            link.drop()
            raise
        if link.is_stale:
            raise ValkeyConnectionError("closed at once")
        return link
