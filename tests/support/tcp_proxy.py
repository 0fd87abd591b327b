"""A TCP proxy whose connections a test can close, or silently stop."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from urllib.parse import urlsplit

from tests.support.tcp_server import TcpServer

READ_BYTES = 65_536


class TcpProxy(TcpServer):
    """Relays TCP to `url` from an address of its own."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._to = urlsplit(url)
        self._writers: set[asyncio.StreamWriter] = set()
        self._relays: set[asyncio.Task[None]] = set()

    def cut(self) -> None:
        """Close all connections, as a server does with idle ones."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def forget(self) -> None:
        """Stop relaying on the open connections without closing them, as a NAT does."""
        await _cancel(self._relays)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(self._to.hostname, self._to.port)
        self._writers |= {writer, far_writer}
        relays = {
            asyncio.create_task(_relay(reader, far_writer)),
            asyncio.create_task(_relay(far_reader, writer)),
        }
        self._relays |= relays
        try:
            await asyncio.Event().wait()  # a forgotten connection stays open until the block ends
        finally:
            await _cancel(relays)
            far_writer.transport.abort()


async def _cancel(tasks: set[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


async def _relay(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await source.read(READ_BYTES):
            sink.write(data)
            await sink.drain()
        sink.transport.abort()
