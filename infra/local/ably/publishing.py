"""Publishing over REST, for oneself or on behalf of a connection."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from infra.local.ably.apps import App
from infra.local.ably.errors import AblyError
from infra.local.ably.grant import Grant
from infra.local.ably.message import publishable


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
