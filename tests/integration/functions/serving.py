"""The runtime loop in this process, with any application, on a Runtime API of the tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from functions.runtime import api as runtime
from functions.runtime.exchange import App
from functions.runtime.loop import serve
from tests.support.runtime_api import RuntimeApi

TEXT = [(b"content-type", b"text/plain")]


@asynccontextmanager
async def serving(
    app: App, *, at_once: int = 1, state: dict[str, Any] | None = None
) -> AsyncIterator[RuntimeApi]:
    """The loop, waiting for its first invocation; it must not have ended by itself."""
    async with RuntimeApi(at_once=at_once) as api:
        client = runtime.RuntimeApi(api.address)
        loop = asyncio.create_task(serve(app, client, at_once=at_once, state=state or {}))
        try:
            await api.until_polled()
            yield api
            assert not loop.done(), loop
        finally:
            loop.cancel()
            await asyncio.wait([loop])


async def begin(send: Any, status: int = 200, headers: Any = TEXT) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def say(send: Any, text: str, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": text.encode(), "more_body": more})
