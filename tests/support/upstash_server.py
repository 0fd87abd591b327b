"""Starts the local Upstash server as a process and works its controls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from tests.support.local_server import LocalServer


@dataclass(frozen=True)
class Meter:
    """What would have been billed since the last reset. `commands` is by upper-case name."""

    billed: int
    commands: dict[str, int]


class UpstashServer(LocalServer):
    """One server process on a free port. `start` returns when a real command has succeeded."""

    name = "Upstash"
    program = ("-m", "infra.local.upstash")
    token = readonly_token = ""

    def _announced(self, announcement: Mapping[str, Any]) -> None:
        self.token = announcement["token"]
        self.readonly_token = announcement["readonly_token"]

    def client(self) -> httpx.Client:
        # No TLS here: loading the authorities would be most of the work.
        return httpx.Client(base_url=self.url, headers=self.headers(), timeout=10, verify=False)

    def headers(self, token: str | None = None) -> dict[str, str]:
        """The Authorization header with the full token, or with the given one."""
        return {"Authorization": f"Bearer {token or self.token}"}

    def meter(self) -> Meter:
        return Meter(**self.control("GET", "meter"))

    def reset_meter(self) -> None:
        self.control("DELETE", "meter")

    def faults(self, **change: Any) -> None:
        """Switch faults on, for example `lose_replies=1, only=["XADD"]`; -1 is until cleared."""
        self.control("PUT", "faults", **change)

    def clear_faults(self) -> None:
        self.control("DELETE", "faults")

    def flush(self) -> None:
        """Empty the database, with its scripts and functions. It is not billed."""
        self.control("POST", "flush")

    def reset(self) -> None:
        """Remove all faults and data, and count from zero."""
        self.clear_faults()
        self.flush()
        self.reset_meter()
