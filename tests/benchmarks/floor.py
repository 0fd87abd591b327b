"""The floor: bare uvloop, pre-encoded bytes to every socket. Nothing in Python does less."""

import asyncio
import json
import signal
from typing import cast

import uvloop

_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
    b"cache-control: no-store\r\ntransfer-encoding: chunked\r\n\r\n"
)
_BACKLOG = 4096


def chunk(event: bytes, data: bytes) -> bytes:
    frame = b"event: %b\ndata: %b\n\n" % (event, data)
    return b"%x\r\n%b\r\n" % (len(frame), frame)


class Stream(asyncio.Protocol):
    """One reader: a head, then whatever the publisher writes."""

    def __init__(self, streams: set[asyncio.Transport]) -> None:
        self._streams = streams
        self._request = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        self._request += data
        if self._request.endswith(b"\r\n\r\n"):
            self._request = b""
            self._transport.write(_HEAD + chunk(b"connected", b"{}"))
            self._streams.add(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._streams.discard(self._transport)


class Publish(asyncio.Protocol):
    """The control port: `POST` with one payload per line; each line is an event."""

    def __init__(self, streams: set[asyncio.Transport]) -> None:
        self._streams = streams
        self._request = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._request += data
        head, end, body = self._request.partition(b"\r\n\r\n")
        if not end or len(body) < _content_length(head):
            return
        self._request = b""
        for payload in body.splitlines():
            frame = chunk(b"tick", payload)
            for stream in self._streams:
                stream.write(frame)
        self._transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


async def main() -> None:
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    streams: set[asyncio.Transport] = set()
    readers = await loop.create_server(lambda: Stream(streams), "127.0.0.1", 0, backlog=_BACKLOG)
    control = await loop.create_server(lambda: Publish(streams), "127.0.0.1", 0)
    ports = [server.sockets[0].getsockname()[1] for server in (readers, control)]
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    print(json.dumps({"url": urls[0], "publish_url": urls[1]}), flush=True)
    await stopped.wait()


if __name__ == "__main__":
    uvloop.run(main())
