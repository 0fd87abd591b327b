"""An instance, one who notifies, and users who are notified."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.client import Client, Stream
from tests.support.instances import Instance, running, settings_for
from tests.support.upstash_server import UpstashServer
from tests.support.users import user

URL = "/api/notifications"


@pytest.fixture
async def instance(upstash: UpstashServer) -> AsyncIterator[Instance]:
    async with running(settings_for(upstash)) as instance:
        yield instance


class Inbox:
    """One user on one device."""

    def __init__(self, instance: Instance, name: str) -> None:
        self.name = name
        self.client = user(instance, name)
        self.http = self.client.http

    def stream(self, cursor: str = "", **query: Any) -> Stream:
        pairs = [(key, str(value)) for key, value in query.items()]
        return self.client.stream_at(f"{URL}/stream", cursor, pairs)

    async def page(self, **query: Any) -> dict[str, Any]:
        answer = await self.http.get(URL, params={k: str(v) for k, v in query.items()})
        page: dict[str, Any] = answer.raise_for_status().json()
        return page

    async def all(self, *, limit: int = 100, **query: Any) -> list[dict[str, Any]]:
        """Every page, one after another."""
        page = await self.page(limit=limit, **query)
        found: list[dict[str, Any]] = page["data"]
        while page["has_more"]:
            page = await self.page(limit=limit, cursor=page["next_cursor"], **query)
            found += page["data"]
        return found

    async def unread(self) -> int:
        count: int = (await self.http.get(f"{URL}/unread")).raise_for_status().json()["unread"]
        return count

    async def read(self, **body: Any) -> dict[str, Any]:
        answer = await self.http.post(f"{URL}/read", json=body)
        changed: dict[str, Any] = answer.raise_for_status().json()
        return changed


class Sender:
    """A back end that may notify everybody."""

    def __init__(self, client: Client) -> None:
        self.http = client.http

    async def send(self, title: str, *users: str, key: str = "", **more: Any) -> list[str]:
        """To these users, or to all where none is named; the names of what was stored."""
        # Ids of two topics have an order only from one millisecond to the next.
        await asyncio.sleep(0.002)
        headers = {"Idempotency-Key": key} if key else {}
        body = {"title": title, "to": list(users) or "all", **more}
        answer = await self.http.post(URL, json=body, headers=headers)
        return [name_of(one) for one in answer.raise_for_status().json()["sent"]]


def name_of(one: dict[str, Any]) -> str:
    return f"{one['topic']}/{one['id']}"


def titles(found: list[dict[str, Any]]) -> list[str]:
    return [one["data"]["title"] for one in found if one["type"] == "notification"]


@pytest.fixture
async def sender(instance: Instance) -> AsyncIterator[Sender]:
    grants = ["user:*:notifications", "public:notifications"]
    client = user(instance, "backend", publish=grants)
    async with client.http:
        yield Sender(client)


@pytest.fixture
async def alice(instance: Instance) -> AsyncIterator[Inbox]:
    inbox = Inbox(instance, "alice")
    async with inbox.http:
        yield inbox


@pytest.fixture
async def bob(instance: Instance) -> AsyncIterator[Inbox]:
    inbox = Inbox(instance, "bob")
    async with inbox.http:
        yield inbox
