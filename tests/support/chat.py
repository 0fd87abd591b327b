"""Users of the chat, and signed deliveries of Ably's webhook."""

from __future__ import annotations

import json
import time
from typing import Any, cast

import httpx
from pydantic import SecretStr

from api.chat.ably.key import AblyKey
from tests.support.instances import Instance, settings_for
from tests.support.upstash_server import UpstashServer

KEY = "app.key:secret-of-the-key"
SECRET = "the-secret-of-the-webhook"  # pragma: allowlist secret


def chat_settings(upstash: UpstashServer, **changes: Any) -> Any:
    """The settings of an instance with chat. Nobody listens at the address of its Ably."""
    given = {
        "ABLY_API_KEY": SecretStr(KEY),
        "ably_url": "http://127.0.0.1:9",
        "chat_tokens_burst": 1000,
        "chat_messages_burst": 1000,
        **changes,
    }
    return settings_for(upstash, **given)


class Person:
    """A user of one instance. `call` returns the answer of `/api/chat`."""

    def __init__(self, instance: Instance, name: str, *roles: str) -> None:
        self.name = name
        sessions = instance.services.security.sessions
        self.token = sessions.issue(name, roles=list(roles), ttl_s=7200)
        self.http = client_of(instance, Authorization=f"Bearer {self.token}")

    async def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        return await self.http.request(method, f"/api/chat{path}", **options)

    async def creates(self, room: str, **facts: Any) -> httpx.Response:
        body = {"id": room, "title": room.title(), **facts}
        return await self.call("POST", "/rooms", json=body)

    async def joins(self, room: str) -> httpx.Response:
        return await self.call("POST", f"/rooms/{room}/join")

    async def appoints(self, room: str, other: Person, role: str = "member") -> httpx.Response:
        body = {"user": other.name, "role": role}
        return await self.call("POST", f"/rooms/{room}/members", json=body)

    async def bans(self, room: str, other: Person) -> httpx.Response:
        return await self.call("POST", f"/rooms/{room}/bans", json={"user": other.name})

    async def events(self, topic: str) -> list[Any]:
        """The events of a topic, oldest first."""
        answer = await self.http.get(f"/api/events/{topic}/history")
        return list(reversed(answer.raise_for_status().json()["events"]))


def client_of(instance: Instance, **headers: str) -> httpx.AsyncClient:
    app = cast(Any, instance.app)  # both sides name ASGI's types their own way
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers)


def message(message_id: str, data: Any = "hi", **changes: Any) -> dict[str, Any]:
    """One message as Ably delivers it."""
    now = int(time.time() * 1000)
    given = {"id": message_id, "name": "m", "clientId": "bob", "data": data, "timestamp": now}
    return given | changes


def item(*messages: Any, channel: str = "room:a", **changes: Any) -> dict[str, Any]:
    """One item of a batch."""
    return {
        "webhookId": "w1",
        "source": "channel.message",
        "serial": "s",
        "timestamp": int(time.time() * 1000),
        "name": "channel.message",
        "data": {"channelId": channel, "site": "test", "messages": list(messages)},
        **changes,
    }


def signed(body: bytes, key: str = KEY, **headers: str) -> dict[str, Any]:
    """The body and headers of a batch, as options of a request."""
    parsed = AblyKey.parse(key)
    return {
        "content": body,
        "headers": {
            "Content-Type": "application/json",
            "X-Ably-Version": "1.2",
            "X-Ably-Key": parsed.name,
            "X-Ably-Signature": parsed.sign(body),
            **headers,
        },
    }


def batch(*items: Any, key: str = KEY) -> dict[str, Any]:
    return signed(json.dumps({"items": items}).encode(), key)
