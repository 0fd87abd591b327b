"""One connection to the engine: valkey's client with our decoder in place of its parser.

The client's own parser loses the code word of errors, and makes no difference between a status
and a value. A REST client must see both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import cast

from valkey._parsers.base import AsyncBaseParser
from valkey.asyncio.connection import AbstractConnection
from valkey.exceptions import ConnectionError as ValkeyConnectionError

from infra.local.upstash.resp import MORE, Command, Decoder, Reply, encode_commands

_READ_BYTES = 65_536


class RawParser(AsyncBaseParser):
    """Returns replies as they came. The client calls it as it calls its own parsers."""

    def __init__(self, socket_read_size: int) -> None:
        super().__init__(socket_read_size)
        self._decoder = Decoder()

    @property
    def is_at_eof(self) -> bool:
        return self._stream is None or self._stream.at_eof()

    def on_connect(self, connection: AbstractConnection) -> None:
        self._stream = connection._reader  # noqa: SLF001 - how the client's own parsers get it
        self._decoder = Decoder()

    def on_disconnect(self) -> None:
        self._stream = None

    async def can_read_destructive(self) -> bool:
        return self.is_at_eof

    async def read_response(self, disable_decoding: bool = False) -> Reply:  # type: ignore[override]  # noqa: ARG002, FBT001, FBT002 - the client's signature, our replies
        while (reply := self._decoder.pop()) is MORE:
            data = b"" if self._stream is None else await self._stream.read(_READ_BYTES)
            if not data:
                raise ValkeyConnectionError("closed by the engine")
            self._decoder.feed(data)
        return reply


class Link:
    """A connection in use by one task at a time."""

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection

    @property
    def is_stale(self) -> bool:
        """Whether the engine has closed its end."""
        parser = cast("RawParser", self._connection._parser)  # noqa: SLF001 - we set its class
        return parser.is_at_eof

    async def send(self, commands: Sequence[Command]) -> None:
        await self._connection.send_packed_command(encode_commands(commands))

    async def receive(self) -> Reply:
        return cast("Reply", await self._connection.read_response(disable_decoding=True))

    async def exchange(self, commands: Sequence[Command]) -> list[Reply]:
        await self.send(commands)
        return [await self.receive() for _ in commands]

    def drop(self) -> None:
        """Close without waiting."""
        writer: asyncio.StreamWriter | None = self._connection._writer  # noqa: SLF001 - disconnect() only awaits
        self._connection._reader = self._connection._writer = None  # noqa: SLF001 - else its __del__ warns
        if writer is not None:
            with suppress(RuntimeError):
                writer.close()
