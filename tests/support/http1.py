"""Reads and writes HTTP/1.1 for the servers of the tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus


@dataclass
class Request:
    """The head of a request, and the trailers after its body. Names are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    trailers: dict[str, str] = field(default_factory=dict)


async def read_request(reader: asyncio.StreamReader) -> Request | None:
    """The next request's head; None when the client has closed."""
    line = await reader.readline()
    if not line:
        return None
    method, target, _ = line.decode("latin-1").split()
    return Request(method, target, await _fields(reader))


async def answer_requests(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    serve: Callable[[Request, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> None:
    """Serve the requests of one connection, then close it, even in the middle of an answer."""
    try:
        while (request := await read_request(reader)) is not None:
            await serve(request, reader, writer)
    finally:
        writer.transport.abort()


async def iter_body(reader: asyncio.StreamReader, request: Request) -> AsyncIterator[bytes]:
    """The chunks of the body as they were sent. Raises IncompleteReadError when it is cut."""
    if request.headers.get("transfer-encoding") != "chunked":
        if size := int(request.headers.get("content-length", "0")):
            yield await reader.readexactly(size)
        return
    while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
        chunk = await reader.readexactly(size + 2)
        assert chunk.endswith(b"\r\n")
        yield chunk[:-2]
    request.trailers = await _fields(reader)


async def read_body(reader: asyncio.StreamReader, request: Request) -> bytes:
    return b"".join([part async for part in iter_body(reader, request)])


def head(status: int, headers: Mapping[str, str] | list[tuple[str, str]]) -> bytes:
    """The head of a response."""
    fields = headers.items() if isinstance(headers, Mapping) else headers
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in fields]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def whole(status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    """A response with a body of known size."""
    return head(status, {"Content-Length": str(len(body)), **(headers or {})}) + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def _fields(reader: asyncio.StreamReader) -> dict[str, str]:
    fields: dict[str, str] = {}
    while line := (await reader.readuntil(b"\r\n")).strip().decode("latin-1"):
        name, _, value = line.partition(":")
        fields[name.lower()] = value.strip()
    return fields
