"""A client that calls the ASGI application as a server would.

It can stop reading, or cut the connection, at any byte.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

STALL_BYTES = 32_768


class AsgiConnection:
    """One request. Bytes stay in `pending` until somebody takes them."""

    def __init__(
        self,
        app: Callable[..., Any],
        path: str,
        query: Sequence[tuple[str, str]],
        headers: Mapping[str, str] | Sequence[tuple[str, str]],
        *,
        stalls: bool = False,
        on_bytes: Callable[[bytes], None] = lambda _: None,
    ) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.pending = bytearray()
        self.is_done = False
        self._stalls = stalls
        self._on_bytes = on_bytes
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._gone = asyncio.Event()
        self._asked = False
        given = headers.items() if isinstance(headers, Mapping) else headers
        lines = [("host", "127.0.0.1"), *given]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "scheme": "http",
            "query_string": urlencode(query).encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in lines],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "extensions": {},
            "state": {},
        }
        self._task = asyncio.create_task(app(scope, self._receive, self._send))
        self._task.add_done_callback(lambda _: self._finish())

    async def _receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: dict[str, Any]) -> None:
        # As a server: wait while the buffer is full, and swallow what a gone client gets.
        await self._room.wait()
        if self._gone.is_set():
            return
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {k.decode(): v.decode() for k, v in message["headers"]}
            return
        self.pending += message["body"]
        self._on_bytes(message["body"])
        if self._stalls and len(self.pending) > STALL_BYTES:
            self._room.clear()
        self._changed.set()
        if not message.get("more_body", False):
            self._gone.set()
            self._finish()

    def _finish(self) -> None:
        self.is_done = True
        self._changed.set()

    def take(self, count: int | None = None) -> bytes:
        """Take the first `count` pending bytes, or all for None."""
        taken = bytes(self.pending[:count])
        del self.pending[: len(taken)]
        if len(self.pending) <= STALL_BYTES:
            self._room.set()
        return taken

    async def wait(self, timeout_s: float) -> bool:
        """Return when there are bytes or the end is there; False when neither came in time."""
        while not self.pending and not self.is_done:
            self._changed.clear()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._changed.wait()
            except TimeoutError:
                return False
        return True

    async def close(self) -> None:
        """Cut the connection, and wait until the application has ended the request."""
        self._gone.set()
        self._room.set()
        async with asyncio.timeout(10):
            await asyncio.wait([self._task])
        self._task.result()

    async def json(self) -> Any:
        """The whole body of an answer that ends, as JSON."""
        while not self.is_done:
            await self.wait(30)
            if not self.is_done:
                self._changed.clear()
                async with asyncio.timeout(30):
                    await self._changed.wait()
        await self.close()
        return json.loads(self.pending) if self.pending else None
