"""The network between a process and the store: its connections can end, or be forgotten."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

READ_BYTES = 65_536


class Wire:
    """Relays TCP to `url` from an address of its own. `accepted` counts the connections."""

    def __init__(self, url: str) -> None:
        self._to = urlsplit(url)
        self._writers: set[asyncio.StreamWriter] = set()
        self._relays: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server
        self.accepted = 0
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self._server.close()
        await self.forget()
        self.cut()
        await self._server.wait_closed()

    def cut(self) -> None:
        """Close all connections, as a server does with idle ones."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def forget(self) -> None:
        """Relay nothing more on the open connections, and tell nobody, as a NAT does."""
        relays = list(self._relays)
        for task in relays:
            task.cancel()
        if relays:
            await asyncio.wait(relays)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        far_reader, far_writer = await asyncio.open_connection(self._to.hostname, self._to.port)
        self._writers |= {writer, far_writer}
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            task = asyncio.create_task(_relay(source, sink))
            self._relays.add(task)
            task.add_done_callback(self._relays.discard)


async def _relay(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await source.read(READ_BYTES):
            sink.write(data)
            await sink.drain()
        sink.transport.abort()
