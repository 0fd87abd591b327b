"""The servers of the local stack: how each is started, and the settings that others get from it."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from infra.local.state import ROOT

Values = Mapping[str, str]
MAX_PORT = 65_535


class CannotStart(Exception):
    """The stack cannot start. The text is for the person who started it."""


@dataclass(frozen=True, slots=True)
class Service:
    """One server. `offers` makes its announcement into settings for servers that start later."""

    name: str
    port_variable: str
    default_port: int
    program: Callable[[Values, int], list[str]]
    offers: Callable[[Mapping[str, Any]], dict[str, str]]
    stop_within_s: float
    replaced_by: str | None = None  # with this setting another server is used in its place
    health_path: str | None = None  # answers 200 when ready; None if the announcement says so

    def port(self, values: Values) -> int:
        """The port to listen on; a free one for 0. Raises CannotStart for a bad or taken one."""
        text = values.get(self.port_variable) or str(self.default_port)
        if not (text.isascii() and text.isdecimal()) or int(text) > MAX_PORT:
            raise CannotStart(f"{self.port_variable}={text} is not a port")
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", int(text)))
            except OSError as error:
                raise CannotStart(
                    f"port {text} cannot be used for {self.name} ({error.strerror}): "
                    f"set {self.port_variable} to another, or to 0 for any free one"
                ) from None
            free: int = probe.getsockname()[1]
        return free


UPSTASH = Service(
    name="upstash",
    port_variable="MILLRACE_UPSTASH_PORT",
    default_port=8079,
    program=lambda values, port: [
        *(sys.executable, "-m", "infra.local.upstash", f"--port={port}"),
        f"--token={values['UPSTASH_REDIS_REST_TOKEN']}",
    ],
    offers=lambda announced: {
        "UPSTASH_REDIS_REST_URL": announced["url"],
        "UPSTASH_REDIS_REST_TOKEN": announced["token"],
    },
    stop_within_s=10,
    replaced_by="UPSTASH_REDIS_REST_URL",
)

ABLY = Service(
    name="ably",
    port_variable="MILLRACE_ABLY_PORT",
    default_port=8080,
    program=lambda values, port: [
        *(sys.executable, "-m", "infra.local.ably", f"--port={port}"),
        f"--key={values['ABLY_LOCAL_KEY']}",
        f"--webhook-url=http://127.0.0.1:{values['MILLRACE_PORT']}/api/chat/webhook",
    ],
    offers=lambda announced: {
        "ABLY_API_KEY": announced["key"],
        "MILLRACE_ABLY_URL": announced["url"],
    },
    stop_within_s=5,
    replaced_by="ABLY_API_KEY",
)

API = Service(
    name="api",
    port_variable="MILLRACE_PORT",
    default_port=8000,
    program=lambda _, __: [sys.executable, "-m", "functions.container"],
    offers=lambda announced: {"MILLRACE_URL": announced["url"]},
    stop_within_s=30,  # it drains: streams get their `bye`, requests finish
    health_path="/api/health",
)

# In the order of their start; they are stopped in the reverse order.
SERVICES = (UPSTASH, ABLY, API)

# Settings that name a server. Left over from a stack that has ended, they name none.
ADDRESSES = ("UPSTASH_REDIS_REST_URL", "ABLY_API_KEY", "MILLRACE_ABLY_URL")

DEFAULTS = {"MILLRACE_ENV": "local", "MILLRACE_WEB_ROOT": str(ROOT / "web" / "demo")}

# Settings about where one process listens and what it serves, which others do not need.
OF_ONE_PROCESS = {
    "MILLRACE_HOST",
    "MILLRACE_LOCAL_DIR",
    "MILLRACE_WEB_ROOT",
    "ABLY_LOCAL_KEY",
    *(service.port_variable for service in SERVICES),
}
