"""What every local server does about its socket, its signals and its starter."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
import socket
import sys
from collections.abc import Callable


class StartError(Exception):
    """The server cannot serve; the text is for the person who started it."""


def bind(host: str, port: int, *, allow_remote: bool) -> socket.socket:
    """A listening socket; port 0 is any free one. Raises StartError, also beyond loopback."""
    if not (allow_remote or _is_loopback(host)):
        raise StartError(f"{host} is not loopback; --allow-remote lifts this")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named: asyncio turns Nagle's delays off for no other socket.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise StartError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    return listener


def url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def on_signal(act: Callable[[], object]) -> None:
    """Call `act` at SIGTERM or SIGINT, instead of what was called before."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, act)


async def end_of_stdin() -> None:
    """Return when it ends. A killed starter sends no signal, but its end of our pipe closes."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    pipe, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    try:
        await reader.read()
    finally:
        pipe.close()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
