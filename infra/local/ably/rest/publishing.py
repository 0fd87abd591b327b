"""Publishing over REST, on one channel or on many."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from infra.local.ably.apps import App
from infra.local.ably.keys_and_tokens.keys import Grant
from infra.local.ably.messages import publishable
from infra.local.ably.protocol import AblyError, bad_request
from infra.local.ably.rest.request import Reply, Request

_SUMMED_SINCE = 3


@dataclass(frozen=True, slots=True)
class Sent:
    """The serial of each message, and the id of the whole."""

    serials: list[str]
    identity: str


def publish(raw: Any, grant: Grant, app: App, name: str) -> Sent:
    """Publish the one or many messages of a body. Raises AblyError."""
    grant.require("publish", name)
    messages = []
    for message in publishable(raw):
        client_id = grant.as_client(message.get("clientId"))
        messages.append(message if client_id is None else message | {"clientId": client_id})
    identity = secrets.token_hex(6)
    serials = app.channels.get(name).publish(
        messages, prefix=identity, connection_id=_on_behalf(raw, app)
    )
    return Sent(serials, identity)


def _on_behalf(raw: Any, app: App) -> str | None:
    several = raw if isinstance(raw, list) else [raw]
    keys = {str(one["connectionKey"]) for one in several if one.get("connectionKey")}
    if not keys:
        return None
    connection = app.connections.find(keys.pop())
    if connection is None or keys:
        raise AblyError(40006, 400, "connectionKey: no such connection")
    return connection.id


def publish_batch(request: Request, grant: Grant, app: App) -> Reply:
    """`POST /messages`: every message of a spec on every channel of it."""
    raw = request.value()
    specs = raw if isinstance(raw, list) else [raw]
    outcomes = [_publish_spec(spec, grant, app) for spec in specs]
    if request.version >= _SUMMED_SINCE:
        return Reply(201, [summary(results) for results in outcomes])
    return Reply(201, [result for results in outcomes for result in results])


def presence_batch(request: Request, grant: Grant, app: App) -> Reply:
    """`GET /presence`: who is present on each of the channels."""

    def members(name: str) -> dict[str, Any]:
        grant.require("subscribe", name)
        channel = app.channels.find(name)
        return {"presence": [] if channel is None else channel.members.all()}

    names = [name for name in request.query.get("channels", "").split(",") if name]
    return Reply(200, summary([_result(name, members) for name in names]))


def summary(results: list[dict[str, Any]]) -> dict[str, Any]:
    """How a batch is answered."""
    failed = sum("error" in one for one in results)
    counts = {"successCount": len(results) - failed, "failureCount": failed}
    return {**counts, "results": results}


def _publish_spec(spec: Any, grant: Grant, app: App) -> list[dict[str, Any]]:
    if not isinstance(spec, dict):
        raise bad_request("a batch is an object with channels and messages")

    def send(name: str) -> dict[str, Any]:
        sent = publish(spec.get("messages"), grant, app, name)
        return {"messageId": sent.identity, "serials": sent.serials}

    channels = spec.get("channels")
    names = channels if isinstance(channels, list) else [channels]
    return [_result(str(name), send) for name in names]


def _result(name: str, act: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    try:
        return {"channel": name, **act(name)}
    except AblyError as error:
        return {"channel": name, "error": error.info()}
