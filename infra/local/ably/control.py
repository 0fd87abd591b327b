"""`/_local/*`: what tests do to the server. It is no part of the service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.local.ably.apps import Apps
from infra.local.ably.protocol import AblyError
from infra.local.ably.rest.request import Reply, Request
from infra.local.ably.webhooks import Delivery

PREFIX = "_local"

UNTIL_CLEARED = -1


@dataclass(slots=True)
class Faults:
    """`http_errors` is how many requests get a 500. `refuse_sockets` lets no WebSocket in."""

    http_errors: int = 0
    refuse_sockets: bool = False

    def change(self, wanted: Mapping[str, Any]) -> None:
        """Change the faults that are named."""
        self.http_errors = int(wanted.get("http_errors", self.http_errors))
        self.refuse_sockets = bool(wanted.get("refuse_sockets", self.refuse_sockets))

    def clear(self) -> None:
        self.http_errors, self.refuse_sockets = 0, False

    def strike(self) -> None:
        """Raise AblyError 50000 when this request has to fail."""
        if self.http_errors == 0:
            return
        if self.http_errors != UNTIL_CLEARED:
            self.http_errors -= 1
        raise AblyError(50000, 500, "an internal error, as asked for")


class Control:
    """Answers `/_local/*` for callers with the server's own key. Faults do not touch it."""

    def __init__(self, apps: Apps, faults: Faults, delivery: Delivery) -> None:
        self._apps = apps
        self._faults = faults
        self._delivery = delivery

    def answer(self, request: Request) -> Reply:
        """Do what a request asks for. Raises AblyError."""
        grant = self._apps.credentials.of_request(request.headers, request.query)
        if grant.is_token or grant.key != self._apps.key:
            raise AblyError(40160, 401, "the controls are worked with the server's own key")
        wanted = request.object()
        match request.method, request.path[1:]:
            case "POST", ("reset",):
                self._apps.clear()
                self._faults.clear()
                self._delivery.backlog.clear()
            case "PUT", ("faults",):
                self._faults.change(wanted)
            case "PUT", ("clock",):
                self._apps.clock.offset_ms = int(wanted.get("offset_ms") or 0)
                self._apps.tick()
            case "POST", ("drop",):
                return Reply(200, {"dropped": self._drop(wanted)})
            case "POST", ("expire",):
                self._apps.tokens.expire_all()
                self._apps.tick()
            case "GET", ("webhook",):
                return Reply(200, {"waiting": self._delivery.backlog.waiting})
            case "PUT", ("webhook",):
                self._delivery.turn_to(str(wanted.get("url") or ""))
            case "POST", ("redeliver",):
                times = int(wanted.get("times") or 1)
                return Reply(200, {"batches": self._delivery.backlog.repeat(times)})
            case _:
                raise AblyError(40400, 404, "no such control")
        return Reply(200, {})

    def _drop(self, wanted: dict[str, Any]) -> int:
        """Close the sockets of all, or of one client, without a frame. Returns how many."""
        client_id = wanted.get("clientId")
        found = [
            connection
            for app in self._apps.all()
            for connection in app.connections.live()
            if client_id in {None, connection.grant.client_id}
        ]
        for connection in found:
            connection.cut()
        return len(found)
