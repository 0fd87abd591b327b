"""The server: it starts its engine, says where it listens on one line of JSON, ends in order."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import cast

from infra.local.listening import Place, StartError, bind, on_signal, stop_at_end_of_stdin, url_of
from infra.local.upstash.app import App
from infra.local.upstash.auth import Tokens
from infra.local.upstash.commands import readonly_names
from infra.local.upstash.control import Control
from infra.local.upstash.engine import Engine, EngineUnavailable
from infra.local.upstash.execute import Executor
from infra.local.upstash.faults import Faults
from infra.local.upstash.http import http_server
from infra.local.upstash.meter import Meter
from infra.local.upstash.process import EngineStartError, ValkeyProcess
from infra.local.upstash.pubsub import Streams

_READY_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Options:
    """How to serve. An empty `redis_url` means the embedded Valkey."""

    place: Place
    tokens: Tokens
    redis_url: str
    engine_timeout_s: float


async def serve(options: Options) -> None:
    """Serve until SIGTERM or SIGINT. Raises StartError when it cannot begin."""
    listener = bind(options.place)
    # A signal during the start cancels this task, so that the engine is stopped as well.
    on_signal(cast("asyncio.Task[None]", asyncio.current_task()).cancel)
    with contextlib.closing(listener):
        async with _engine(options) as engine:
            await _run(options, listener, engine)


async def _run(options: Options, listener: socket.socket, engine: Engine) -> None:
    meter, faults = Meter(), Faults()
    try:
        [table] = await engine.exchange([[b"COMMAND"]])
    except EngineUnavailable as error:
        raise StartError(f"the engine does not answer: {error}") from error
    streams = Streams(engine, meter)
    app = App(
        tokens=options.tokens,
        executor=Executor(engine, meter, readonly_names(table)),
        streams=streams,
        faults=faults,
        control=Control(engine, meter, faults, streams),
    )
    server = http_server(app)

    def stop() -> None:
        server.should_exit = True
        # Streams and held requests do not end by themselves: uvicorn would wait for them.
        streams.cut_all()
        faults.clear()

    on_signal(stop)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    orphaned = asyncio.create_task(stop_at_end_of_stdin(options.place, stop))
    try:
        await _answers(listener, options.tokens)
        meter.reset()
        _announce(options, listener)
        await asyncio.shield(serving)
    finally:
        orphaned.cancel()
        stop()
        await serving


@contextlib.asynccontextmanager
async def _engine(options: Options) -> AsyncIterator[Engine]:
    process = None if options.redis_url else ValkeyProcess()
    try:
        if process is not None:
            await process.start()
        url = options.redis_url if process is None else process.url
        try:
            engine = Engine(url, timeout_s=options.engine_timeout_s)
        except ValueError as error:
            raise StartError(f"REDIS_URL: {error}") from None
        try:
            yield engine
        finally:
            engine.close()
    except EngineStartError as error:
        raise StartError(str(error)) from error
    finally:
        if process is not None:
            process.stop()


async def _answers(listener: socket.socket, tokens: Tokens) -> None:
    """Return once a real command has succeeded over HTTP. Raises StartError."""
    request = f"GET /ping HTTP/1.0\r\nAuthorization: Bearer {tokens.full}\r\n\r\n"
    try:
        async with asyncio.timeout(_READY_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(*listener.getsockname()[:2])
            writer.write(request.encode())
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
    except (OSError, TimeoutError) as error:
        raise StartError(f"the server does not answer: {error}") from error
    if b'"PONG"' not in answer:
        raise StartError(f"the first command failed: {answer[-200:]!r}")


def _announce(options: Options, listener: socket.socket) -> None:
    line = {
        "url": url_of(listener),
        "token": options.tokens.full,
        "readonly_token": options.tokens.readonly,
    }
    print(json.dumps(line), flush=True)
