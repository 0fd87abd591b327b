"""The REST API: a request in, a reply out. Waits for nothing."""

from __future__ import annotations

import secrets
from typing import Any

from infra.local.ably import paging
from infra.local.ably.apps import App, Apps
from infra.local.ably.errors import AblyError, bad_request
from infra.local.ably.grant import Grant
from infra.local.ably.message import Message, accepted
from infra.local.ably.request import Reply, Request


class Rest:
    """Answers every path but streams."""

    def __init__(self, apps: Apps) -> None:
        self._apps = apps

    def answer(self, request: Request) -> Reply:
        """Raises AblyError."""
        match request.method, request.path:
            case "GET", ("time",):
                return Reply(200, [self._apps.clock.now_ms()])
            case "POST", ("keys", name, "requestToken"):
                return self._request_token(request, name)
        grant = self._apps.credentials.of_request(request.headers, request.query)
        match request.method, request.path:
            case "POST", ("keys", name, "revokeTokens"):
                return self._revoke(request, grant, name)
            case method, ("channels", name, *rest):
                return self._channel(method, request, grant, name, tuple(rest))
        raise AblyError(40400, 404, "no such path")

    def _request_token(self, request: Request, name: str) -> Reply:
        basic = None
        if "authorization" in request.headers or "key" in request.query:
            basic = self._apps.credentials.of_request(request.headers, request.query)
        return Reply(201, self._apps.tokens.issue(name, request.object(), basic))

    def _revoke(self, request: Request, grant: Grant, name: str) -> Reply:
        if grant.key.name != name:
            raise AblyError(40133, 401, "tokens of a key are revoked with that key")
        results = self._apps.tokens.revocations.revoke(
            grant, request.object(), self._apps.clock.now_ms()
        )
        self._apps.tick()
        return Reply(200, summary(results))

    def _channel(
        self, method: str, request: Request, grant: Grant, name: str, rest: tuple[str, ...]
    ) -> Reply:
        app = self._apps.of(grant)
        match method, rest:
            case "POST", ("messages",):
                return self._publish(request, grant, app, name)
            case "GET", ("messages",) | ("history",):
                grant.require("history", name)
                found = paging.within(_channel_history(app, name), request.query)
                return paging.page(found, request.query, rest[0])
        raise AblyError(40400, 404, "no such path")

    def _publish(self, request: Request, grant: Grant, app: App, name: str) -> Reply:
        if request.query.get("_forceNack") == "true":
            raise AblyError(40099, 400, "refused, as asked for")
        serials, identity = publish(request.value(), grant, app, name)
        return Reply(201, {"channel": name, "messageId": identity, "serials": serials})


def publish(raw: Any, grant: Grant, app: App, name: str) -> tuple[list[str], str]:
    """Publish what a body holds; its serials, and the id of the whole."""
    grant.require("publish", name)
    key = next((one.get("connectionKey") for one in _dicts(raw) if "connectionKey" in one), None)
    connection = None if key is None else app.connections.find(key)
    if key is not None and connection is None:
        raise bad_request("connectionKey: no such connection")
    messages = []
    for message in accepted(raw):
        client_id = grant.as_client(message.get("clientId"))
        messages.append(message if client_id is None else message | {"clientId": client_id})
    identity = secrets.token_urlsafe(9)
    serials = app.channels.get(name).publish(
        messages, prefix=identity, connection_id=None if connection is None else connection.id
    )
    return serials, identity


def summary(results: list[dict[str, Any]]) -> dict[str, Any]:
    """How a batch is answered."""
    failed = sum("error" in one for one in results)
    return {
        "successCount": len(results) - failed,
        "failureCount": failed,
        "results": results,
    }


def _dicts(raw: Any) -> list[dict[str, Any]]:
    return [one for one in (raw if isinstance(raw, list) else [raw]) if isinstance(one, dict)]


def _channel_history(app: App, name: str) -> list[Message]:
    channel = app.channels.find(name)
    return [] if channel is None else channel.history(is_presence=False)
