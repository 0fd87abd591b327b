"""The examples of the OpenAPI document are requests that the application takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
from pydantic import SecretStr

from tests.integration.http.conftest import client_of
from tests.support.ably_server import AblyServer
from tests.support.chat import chat_settings
from tests.support.instances import running
from tests.support.upstash_server import UpstashServer

Document = dict[str, Any]

PLACES = {"topic": "public:orders", "room": "hall", "feed": "workspace:42"}


def operations_with_a_body(document: Document) -> Iterator[tuple[str, str, Document]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if "requestBody" in operation:
                yield method, path, operation["requestBody"]["content"]["application/json"]


async def test_every_body_has_an_example_that_the_application_accepts(
    upstash: UpstashServer, ably: AblyServer
) -> None:
    """Each is sent by an administrator as it stands, to a room that exists."""
    settings = chat_settings(upstash, ABLY_API_KEY=SecretStr(ably.key), ably_url=ably.url)
    refused = {}
    async with running(settings) as instance, client_of(instance) as client:
        client.headers["Authorization"] = f"Bearer {instance.token('alice')}"
        document = (await client.get("/api/openapi.json")).json()
        for method, path, body in operations_with_a_body(document):
            # What one example does, such as to ban bob, must not decide about the next.
            upstash.reset()
            await make_room(client, PLACES["room"])
            url = path.format(**PLACES)
            answer = await client.request(method, url, json=body["example"])
            if not is_accepted(answer):
                refused[f"{method} {path}"] = answer.text

    assert refused == {}


async def make_room(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.post("/api/chat/rooms", json={"id": name, "title": "Hall"})
    answer.raise_for_status()


def is_accepted(answer: httpx.Response) -> bool:
    """Of a batch, each part."""
    parts = answer.json().get("results", []) if answer.is_success else []
    return answer.is_success and all(part["problem"] is None for part in parts)
