"""`/chat/v4/rooms/…`: what Ably's Chat SDK sends and reads over REST.

Source: https://ably.com/docs/api/chat-rest
"""

from __future__ import annotations

import json
from typing import Any

from infra.local.ably.apps import App
from infra.local.ably.channel.occupancy import metrics
from infra.local.ably.keys_and_tokens.keys import Grant
from infra.local.ably.messages import Message
from infra.local.ably.protocol import AblyError, bad_request
from infra.local.ably.rest import paging
from infra.local.ably.rest.publishing import publish
from infra.local.ably.rest.request import Reply, Request

_NAME = "chat.message"


def chat(request: Request, grant: Grant, app: App, rest: tuple[str, ...]) -> Reply:
    """The reply for `/chat/v4/rooms/<rest>`. Raises AblyError."""
    room, what = rest[0], rest[1:]
    channel = f"{room}::$chat"
    match request.method, what:
        case "POST", ("messages",):
            return _send(request, grant, app, channel)
        case "GET", ("messages",):
            grant.require("history", channel)
            found = paging.within(_messages(app, channel), request.query)
            page = paging.page(found, request.query, "messages")
            return Reply(page.status, [_shown(one) for one in page.value], page.headers)
        case "GET", ("messages", serial):
            grant.require("history", channel)
            return Reply(200, _shown(_message(app, channel, serial)))
        case "GET", ("occupancy",):
            found_metrics = metrics(app.channels.get(channel))
            names = ("connections", "presenceMembers")
            return Reply(200, {name: found_metrics[name] for name in names})
    raise AblyError(40400, 404, "not part of this development server")


def _send(request: Request, grant: Grant, app: App, channel: str) -> Reply:
    wanted = request.object()
    if not isinstance(wanted.get("text"), str):
        raise bad_request("text is missing")
    message = {
        "name": _NAME,
        "data": {"text": wanted["text"], "metadata": wanted.get("metadata") or {}},
        "extras": {"headers": wanted.get("headers") or {}},
    }
    if key := request.query.get("idempotencyKey"):
        message["id"] = key
    if grant.as_client(None) is None:
        raise AblyError(40000, 400, "a chat message needs a clientId")
    [serial] = publish(message, grant, app, channel).serials
    return Reply(201, _shown(_message(app, channel, serial)))


def _messages(app: App, channel: str) -> list[Message]:
    found = app.channels.find(channel)
    kept = [] if found is None else found.history(is_presence=False)
    return [one for one in kept if one.get("name") == _NAME]


def _message(app: App, channel: str, serial: str) -> Message:
    for message in _messages(app, channel):
        if message["serial"] == serial:
            return message
    raise AblyError(40400, 404, "no such message")


def _shown(message: Message) -> dict[str, Any]:
    data = message["data"]
    content = json.loads(data) if isinstance(data, str) else {}
    extras = message.get("extras") or {}
    return {
        "serial": message["serial"],
        "version": message["version"],
        "text": content.get("text", ""),
        "clientId": message.get("clientId", ""),
        "action": "message.create",
        "metadata": content.get("metadata") or {},
        "headers": extras.get("headers") or {},
        "timestamp": message["timestamp"],
    }
