"""An SSE upstream as a process: it numbers its events and resumes after an id.

Run as `python -m tests.support.sse_upstream --port N`. It listens on one port for the application
(GET of any path) and takes commands by PUT of a JSON object to /control, so that a test can
change what it does while it runs.
"""

from __future__ import annotations

import asyncio
import json
import selectors
import signal
import subprocess
import sys
from typing import Any

import httpx

from tests.support.local_server import ROOT

OK = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
WAITS = {"silent", "headless"}


class Upstream:
    """The server in the process. `mode` is how it answers, `count` how many events it has."""

    def __init__(self) -> None:
        self.mode: dict[str, Any] = {"kind": "events"}
        self.modes: dict[str, dict[str, Any]] = {}  # of paths that have their own
        self.count = 0
        self.connections = 0
        self.open = 0
        self.most_open = 0
        self.heads: list[str] = []
        self.news = asyncio.Condition()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            if head.startswith("PUT /control"):
                await self._control(reader, writer, head)
                return
            self.connections += 1
            self.open += 1
            self.most_open = max(self.most_open, self.open)
            self.heads.append(head)
            try:
                await self._answer(reader, writer, head)
            finally:
                self.open -= 1
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _control(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str
    ) -> None:
        length = int(head.lower().partition("content-length:")[2].split()[0])
        order = json.loads(await reader.readexactly(length))
        async with self.news:
            self.mode = order.get("mode", self.mode)
            self.modes = order.get("modes", self.modes)
            self.count = order.get("count", self.count)
            if order.get("forget"):
                self.heads.clear()
                self.connections = 0
            self.news.notify_all()
        state = {
            name: getattr(self, name) for name in ("connections", "open", "most_open", "heads")
        }
        body = json.dumps(state).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    async def _answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str
    ) -> None:
        path = head.split(" ")[1].partition("?")[0].removeprefix("/")
        mode = self.modes.get(path, self.mode)
        kind = mode["kind"]
        if kind == "raw":
            writer.write(mode["bytes"].encode())
            await writer.drain()
            return
        gone = asyncio.ensure_future(reader.read())
        if kind in WAITS:
            writer.write(OK.encode() if kind == "silent" else b"")
            await writer.drain()
            await gone
            return
        if kind == "endless":
            writer.write(f"{OK}data: ".encode())
            while not gone.done():
                writer.write(b"x" * 65_536)
                await writer.drain()
            return
        await self._events(writer, head, gone)

    async def _events(
        self, writer: asyncio.StreamWriter, head: str, gone: asyncio.Future[bytes]
    ) -> None:
        """Send the events after the given id. With `half` the stream ends amid the next one."""
        mode = self.mode
        at = (
            int(head.lower().partition("last-event-id:")[2].split()[0] or 0)
            if ("last-event-id:" in head.lower() and not mode.get("deaf"))
            else int(mode.get("from", 0))
        )
        writer.write(OK.encode())
        retry = mode.get("retry")
        writer.write(f"retry: {retry}\n\n".encode() if retry else b": hello\n\n")
        while not gone.done():
            async with self.news:
                if at >= self.count:
                    waiting: asyncio.Future[Any] = asyncio.ensure_future(self.news.wait())
                    ends: list[asyncio.Future[Any]] = [waiting, gone]
                    await asyncio.wait(ends, return_when="FIRST_COMPLETED")
                    waiting.cancel()
                    await asyncio.wait([waiting])
            for number in range(at + 1, self.count + 1):
                event_id = "" if mode.get("idless") else f"id: {number}\n"
                writer.write(f"event: price\n{event_id}data: {number}\n\n".encode())
            at = self.count
            if self.mode.get("half"):
                writer.write(f"event: price\nid: {at + 1}\nda".encode())
            await writer.drain()


async def _main(port: int) -> None:
    upstream = Upstream()
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", port)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()


class UpstreamProcess:
    """The process. Started again after its end, it has the same port."""

    def __init__(self) -> None:
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/stream"

    def start(self) -> UpstreamProcess:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.sse_upstream", str(self.port)],
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            assert selector.select(20), "the upstream did not start"
        self.port = json.loads(self._process.stdout.readline())["port"]
        return self

    def kill(self) -> None:
        """Send SIGKILL, whatever it does."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(10)
            assert self._process.stdout is not None
            self._process.stdout.close()

    async def order(self, **order: Any) -> dict[str, Any]:
        """Change what it does. Returns its state."""
        async with httpx.AsyncClient(verify=False, trust_env=False, timeout=10) as client:
            answer = await client.put(f"http://127.0.0.1:{self.port}/control", json=order)
        state: dict[str, Any] = answer.raise_for_status().json()
        return state


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1])))
