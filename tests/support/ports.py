"""Ports for programs that cannot choose a free one themselves."""

from __future__ import annotations

import socket


def free_port() -> int:
    """A port of the loopback where nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
