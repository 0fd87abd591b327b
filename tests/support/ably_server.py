"""Starts the local Ably server as a process and works its controls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.support.local_server import LocalServer

KEY = "local.key:secret-of-the-local-key"
BANNER = "a development server"


class AblyServer(LocalServer):
    """One server process on a free port."""

    name = "Ably"
    # Warnings of the server end up in its complaints.
    program = ("-W", "error", "-m", "infra.local.ably", f"--key={KEY}")
    key = ""

    @property
    def port(self) -> int:
        port = urlsplit(self.url).port
        assert port is not None
        return port

    def _announced(self, announcement: Mapping[str, Any]) -> None:
        self.key = announcement["key"]

    def client(self) -> httpx.Client:
        name, _, secret = self.key.partition(":")
        # No TLS here: loading the authorities would be most of the work.
        return httpx.Client(base_url=self.url, auth=(name, secret), timeout=10, verify=False)

    def _complaints(self, text: str) -> str:
        return "\n".join(line for line in text.splitlines() if BANNER not in line)

    def reset(self) -> None:
        """Forget all connections, messages and faults, and shift the time no more."""
        self.control("POST", "reset")

    def faults(self, **change: Any) -> None:
        """Switch faults on: `http_errors=1` (-1: until reset), `refuse_sockets=True`."""
        self.control("PUT", "faults", **change)

    def set_clock(self, offset_ms: int) -> None:
        """Shift the time of the server. All that is due by then happens before this returns."""
        self.control("PUT", "clock", offset_ms=offset_ms)

    def drop(self, **whom: str) -> int:
        """Close the sockets of all, or of one `clientId`. Returns how many."""
        dropped: int = self.control("POST", "drop", **whom)["dropped"]
        return dropped

    def expire_tokens(self) -> None:
        """Let all tokens that were issued until now expire."""
        self.control("POST", "expire")

    def webhook(self, url: str) -> None:
        """Deliver webhooks to this address from now on; none when it is empty."""
        self.control("PUT", "webhook", url=url)

    def webhooks_waiting(self) -> int:
        """How many events the endpoint has not taken yet."""
        waiting: int = self.control("GET", "webhook")["waiting"]
        return waiting

    def redeliver(self, times: int = 1) -> int:
        """Deliver the last batches again, out of order. Returns how many batches that will be."""
        batches: int = self.control("POST", "redeliver", times=times)["batches"]
        return batches
