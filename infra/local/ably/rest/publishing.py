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
    """What was published: the serial of each message, and the id of all together."""

    serials: list[str]
    identity: str

    @property
    def details(self) -> dict[str, Any]:
        """As REST replies have it."""
        return {"messageId": self.identity, "serials": self.serials}


def publish(raw: Any, grant: Grant, app: App, name: str) -> Sent:
    """Publish the messages of a body, which holds one or a list. Raises AblyError."""
    grant.require("publish", name)
    messages = [grant.stamped(message) for message in publishable(raw)]
    identity, channel = secrets.token_hex(6), app.channels.get(name)
    connection_id = _on_behalf(raw, app)
    serials = channel.publish(messages, prefix=identity, connection_id=connection_id)
    return Sent(serials, identity)


def _on_behalf(raw: Any, app: App) -> str | None:
    """The id of the connection that the messages are published for, if they name one."""
    several = raw if isinstance(raw, list) else [raw]
    keys = {str(one["connectionKey"]) for one in several if one.get("connectionKey")}
    if not keys:
        return None
    connection = app.connections.find(keys.pop())
    if connection is None or keys:
        raise AblyError(40006, 400, "connectionKey: no such connection")
    return connection.id


def publish_batch(request: Request, grant: Grant, app: App) -> Reply:
    """`POST /messages`: publish all messages of each spec on all its channels."""
    raw = request.value()
    specs = raw if isinstance(raw, list) else [raw]
    outcomes = [_publish_spec(spec, grant, app) for spec in specs]
    if request.version >= _SUMMED_SINCE:
        return Reply(201, [summary(results) for results in outcomes])
    return Reply(201, [result for results in outcomes for result in results])


def presence_batch(request: Request, grant: Grant, app: App) -> Reply:
    """`GET /presence`: the members of each channel."""

    def members(name: str) -> dict[str, Any]:
        grant.require("subscribe", name)
        channel = app.channels.find(name)
        return {"presence": [] if channel is None else channel.members.all()}

    names = [name for name in request.query.get("channels", "").split(",") if name]
    return Reply(200, summary([_result(name, members) for name in names]))


def summary(results: list[dict[str, Any]]) -> dict[str, Any]:
    """The reply to a batch: its results, and how many of them are failures."""
    failed = sum("error" in one for one in results)
    counts = {"successCount": len(results) - failed, "failureCount": failed}
    return {**counts, "results": results}


def _publish_spec(spec: Any, grant: Grant, app: App) -> list[dict[str, Any]]:
    if not isinstance(spec, dict):
        raise bad_request("a batch is an object with channels and messages")

    def send(name: str) -> dict[str, Any]:
        return publish(spec.get("messages"), grant, app, name).details

    channels = spec.get("channels")
    names = channels if isinstance(channels, list) else [channels]
    return [_result(str(name), send) for name in names]


def _result(name: str, act: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    try:
        return {"channel": name, **act(name)}
    except AblyError as error:
        return {"channel": name, "error": error.info()}
