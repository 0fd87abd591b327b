"""The server: it starts, says where it listens on one line of JSON, ticks, and ends in order."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
from dataclasses import dataclass

import uvicorn

from infra.local.ably.apps import Apps
from infra.local.ably.clock import Clock
from infra.local.ably.control import Control, Faults
from infra.local.ably.gateway import Gateway
from infra.local.ably.keys_and_tokens.keys import Key
from infra.local.ably.rest.routes import Rest
from infra.local.ably.webhooks import Delivery
from infra.local.listening import (
    Place,
    Server,
    bind,
    on_signal,
    quiet,
    stop_at_end_of_stdin,
    url_of,
)

_TICK_S = 0.1
_BANNER = "ably: a development server, in no way the Ably service; nothing is kept"


@dataclass(frozen=True, slots=True)
class Options:
    """How to serve."""

    place: Place
    key: Key
    webhook_url: str  # empty: none are sent
    webhook_interval_s: float
    webhook_retry_s: float


class _Server(Server):
    def __init__(self, config: uvicorn.Config, apps: Apps) -> None:
        super().__init__(config)
        self._apps = apps

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Connections and streams do not end by themselves: uvicorn would wait for them.
        self._apps.clear()
        await super().shutdown(sockets)


async def serve(options: Options) -> None:
    """Serve until SIGTERM or SIGINT. Raises StartError when it cannot begin."""
    with contextlib.closing(bind(options.place)) as listener:
        await _run(options, listener)


async def _run(options: Options, listener: socket.socket) -> None:
    apps = Apps(options.key, Clock())
    delivery = Delivery(
        options.key,
        apps.clock,
        url=options.webhook_url,
        interval_s=options.webhook_interval_s,
        retry_s=options.webhook_retry_s,
    )
    apps.watchers.published.append(delivery.backlog.published)
    apps.watchers.lifecycle.append(delivery.backlog.lifecycle)
    faults = Faults()
    gateway = Gateway(apps, Rest(apps), Control(apps, faults, delivery), faults)
    server = _Server(quiet(gateway, ws="websockets-sansio", ws_per_message_deflate=False), apps)

    def stop() -> None:
        server.should_exit = True

    on_signal(stop)
    print(_BANNER, file=sys.stderr, flush=True)
    async with asyncio.TaskGroup() as tasks:
        helpers = [
            tasks.create_task(_tick(apps)),
            tasks.create_task(delivery.run()),
            tasks.create_task(stop_at_end_of_stdin(options.place, stop)),
        ]
        serving = tasks.create_task(server.serve(sockets=[listener]))
        _announce(options, listener)
        await asyncio.wait({serving})
        for helper in helpers:
            helper.cancel()


async def _tick(apps: Apps) -> None:
    while True:
        apps.tick()
        await asyncio.sleep(_TICK_S)


def _announce(options: Options, listener: socket.socket) -> None:
    # The socket listens already: whoever connects now is served as soon as uvicorn has started.
    print(json.dumps({"url": url_of(listener), "key": options.key.text}), flush=True)
