"""An HTTP/1.1 connection to the Runtime API, for one request at a time and without TLS."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import httptools

CONNECT_S = 2.0
READ_BYTES = 65_536
FINAL = 200  # a status below it is of an interim answer


class LostError(ConnectionError):
    """The connection ended before the whole answer was there."""


@dataclass(slots=True)
class Answer:
    """An HTTP response. Header names are in lower case."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class Connection:
    """A connection that was made by `open`, and is to be closed by its owner."""

    def __init__(
        self, address: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._address = address
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, address: str) -> Self:
        """Connect to `host:port`. Raises OSError."""
        host, _, port = address.rpartition(":")
        async with asyncio.timeout(CONNECT_S):
            reader, writer = await asyncio.open_connection(host, int(port))
        return cls(address, reader, writer)

    @property
    def is_ended(self) -> bool:
        """Whether the other side has closed, as far as the event loop has seen."""
        return self._reader.at_eof() or self._writer.is_closing()

    def write_head(self, method: str, path: str, headers: Mapping[str, str]) -> None:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._address}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    async def drain(self) -> None:
        """Wait while the other side does not read. Raises ConnectionError when it has closed."""
        await self._writer.drain()

    async def answer(self) -> Answer:
        """Read the answer to the request. Raises LostError."""
        parsing = _Parsing()
        while not parsing.is_whole:
            try:
                data = await self._reader.read(READ_BYTES)
                parsing.parser.feed_data(data)
            except (OSError, httptools.HttpParserError) as error:
                raise LostError(type(error).__name__) from error
            if not data:
                raise LostError("closed")
        return parsing.answer

    def close(self) -> None:
        self._writer.transport.abort()


class _Parsing:
    """Collects one answer from what the parser calls."""

    def __init__(self) -> None:
        self.answer = Answer()
        self.is_whole = False
        self.parser = httptools.HttpResponseParser(self)
        self._parts: list[bytes] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.answer.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_message_complete(self) -> None:
        self.answer.status = self.parser.get_status_code()
        if self.answer.status < FINAL:
            self.answer = Answer()
            return
        self.answer.body = b"".join(self._parts)
        self.is_whole = True
