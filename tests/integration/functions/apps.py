"""Applications that the runtime loop starts as processes; FAILS picks a failure."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from dataclasses import replace
from typing import Any

from api.services import build_services
from api.settings import Settings
from api.system import System
from functions.runtime import snapshot
from functions.snapshots import survive_snapshots

SEED = 1


async def plain(scope: Any, receive: Any, send: Any) -> None:
    """Knows no lifespan."""
    assert scope["type"] == "http"
    await _answer(send, "plain")


async def refusing(scope: Any, receive: Any, send: Any) -> None:
    """Does not want to start."""
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "not today"})


class Panic(BaseException):
    """As a compiled extension raises it."""


ENDS = {one.__name__: one for one in (Panic, SystemExit, KeyboardInterrupt, asyncio.CancelledError)}


async def ending(scope: Any, receive: Any, send: Any) -> None:
    """Cannot start, and does not say so by a message: FAILS names what it raises."""
    await receive()
    raise ENDS[os.environ["FAILS"]]


async def ending_within(scope: Any, receive: Any, send: Any) -> None:
    """The same, in a task of its own."""
    await asyncio.create_task(ending(scope, receive, send))


class Drawing:
    """Has a connection when the snapshot is taken, and the same chance in each copy."""

    def __init__(self) -> None:
        self._services = build_services(
            Settings.read(), system=replace(System.real(), rng=random.Random(SEED))
        )
        survive_snapshots(self._services)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        ping = await self._services.redis.read("PING")
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await asyncio.Event().wait()
        await _answer(send, {"ping": ping, "draw": self._services.streaming.rng.random()})


async def _answer(send: Any, content: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(content).encode()})


def _failing() -> None:
    raise ValueError("a secret")


drawing = Drawing()
match os.environ.get("FAILS"):
    case "before":
        snapshot.before_snapshot(_failing)
    case "after":
        snapshot.after_restore(_failing)
    case "import":
        sys.exit("no")
