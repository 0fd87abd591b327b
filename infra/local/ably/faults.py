"""Faults that tests switch on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.local.ably.errors import AblyError

UNTIL_CLEARED = -1


@dataclass(slots=True)
class Faults:
    """`http_errors` requests are answered with 500; `refuse_sockets` keeps everybody out."""

    http_errors: int = 0
    refuse_sockets: bool = False

    def change(self, wanted: Mapping[str, Any]) -> None:
        """What is not named stays as it is."""
        self.http_errors = int(wanted.get("http_errors", self.http_errors))
        self.refuse_sockets = bool(wanted.get("refuse_sockets", self.refuse_sockets))

    def clear(self) -> None:
        self.http_errors, self.refuse_sockets = 0, False

    def strike(self) -> None:
        """Raises AblyError 50000 when a request has to fail."""
        if self.http_errors == 0:
            return
        if self.http_errors != UNTIL_CLEARED:
            self.http_errors -= 1
        raise AblyError(50000, 500, "an internal error, as asked for")
