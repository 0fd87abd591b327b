"""`/_local/*`: what tests do to the server. Not part of the service."""

from __future__ import annotations

from infra.local.ably.apps import Apps
from infra.local.ably.delivery import Delivery
from infra.local.ably.errors import AblyError
from infra.local.ably.request import Reply, Request

PREFIX = "_local"


class Control:
    """Answers `/_local/*`, with the first key only."""

    def __init__(self, apps: Apps, delivery: Delivery) -> None:
        self._apps = apps
        self._delivery = delivery

    def answer(self, request: Request) -> Reply:
        """Raises AblyError."""
        grant = self._apps.credentials.of_request(request.headers, request.query)
        if grant.is_token or grant.key != self._apps.key:
            raise AblyError(40160, 401, "the controls are worked with the server's own key")
        match request.method, request.path[1:]:
            case "POST", ("reset",):
                self._apps.clear()
                self._delivery.backlog.clear()
            case "PUT", ("webhook",):
                self._delivery.turn_to(str(request.object().get("url") or ""))
            case "POST", ("redeliver",):
                times = int(request.object().get("times") or 1)
                return Reply(200, {"batches": self._delivery.backlog.repeat(times)})
            case _:
                raise AblyError(40400, 404, "no such control")
        return Reply(200, {})
