"""How each local server listens, takes its options, and ends with its signals and its starter."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ipaddress
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import uvicorn

_DRAIN_S = 1


class StartError(Exception):
    """The server cannot serve; the text is for the person who started it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server listens, and with whom it ends. Port 0 is any free one."""

    host: str
    port: int
    allow_remote: bool
    until_stdin_closes: bool

    @classmethod
    def of(cls, given: argparse.Namespace) -> Place:
        return cls(given.host, given.port, given.allow_remote, given.until_stdin_closes)


def parser_of(program: str, description: str | None, default_port: int) -> argparse.ArgumentParser:
    """A parser of the options that all local servers have."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=description)
    parser.add_argument("--host", default="127.0.0.1", help="address to bind")
    parser.add_argument("--port", type=int, default=default_port, help="0 is any free port")
    parser.add_argument("--allow-remote", action="store_true", help="bind beyond loopback")
    parser.add_argument(
        "--until-stdin-closes", action="store_true", help="stop when the starting process is gone"
    )
    return parser


class Server(uvicorn.Server):
    """A server that leaves signals to its caller."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn would raise the signal again, and an orderly end must exit with 0.
        yield


def quiet(app: Any, **options: Any) -> uvicorn.Config:
    """The settings of a server that logs errors only; `options` are uvicorn's."""
    return uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=_DRAIN_S,
        **options,
    )


def bind(place: Place) -> socket.socket:
    """A listening socket. Raises StartError when it cannot be had, or would be reached by others.

    The secrets of these servers stand on command lines, so only loopback is safe.
    """
    host = place.host
    if not (place.allow_remote or _is_loopback(host)):
        raise StartError(f"{host} is not loopback; --allow-remote lifts this")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named: asyncio turns Nagle's delays off for no other socket.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, place.port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise StartError(
            f"cannot listen on {host}:{place.port}: {error.strerror or error}"
        ) from error
    return listener


def url_of(listener: socket.socket) -> str:
    """The address that clients of a listening socket use."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def on_signal(act: Callable[[], object]) -> None:
    """Call `act` at SIGTERM or SIGINT, instead of what was called before."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, act)


async def stop_at_end_of_stdin(place: Place, stop: Callable[[], None]) -> None:
    """Call `stop` when stdin ends, if the server was told to.

    A starter that is killed sends no signal, but its end of our pipe closes.
    """
    if not place.until_stdin_closes:
        return
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    pipe, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        await reader.read()
    finally:
        pipe.close()
    stop()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
