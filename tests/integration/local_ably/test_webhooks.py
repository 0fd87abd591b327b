"""Webhooks: signed, in order, and delivered until the endpoint has taken them."""

from __future__ import annotations

import asyncio
import base64
import hmac
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.integration.local_ably.conftest import Dial
from tests.integration.local_ably.endpoint import Endpoint
from tests.support.ably_server import AblyServer


@pytest.fixture
def endpoint(ably: AblyServer) -> Iterator[Endpoint]:
    started = Endpoint().start()
    ably.webhook(started.url)
    yield started
    ably.webhook("")
    started.stop()


async def publish(rest: httpx.AsyncClient, *names: str) -> None:
    for name in names:
        answer = await rest.post("/channels/room:1/messages", json={"name": name, "data": "x"})
        assert answer.status_code == httpx.codes.CREATED


def names(items: list[dict[str, Any]]) -> list[str]:
    return [message["name"] for item in items for message in item["data"].get("messages", [])]


async def test_a_delivery_is_signed_over_its_raw_body(
    ably: AblyServer, rest: httpx.AsyncClient, endpoint: Endpoint
) -> None:
    """The header names the key whose secret signs it. It is JSON for all publishers."""
    await publish(rest, "grüße")
    endpoint.wait(1)

    [delivery] = endpoint.deliveries
    name, _, secret = ably.key.partition(":")
    mac = hmac.digest(secret.encode(), delivery.body, "sha256")
    assert delivery.headers["x-ably-key"] == name
    assert delivery.headers["x-ably-signature"] == base64.b64encode(mac).decode()
    assert delivery.headers["content-type"] == "application/json"
    assert delivery.headers["x-ably-version"] == "1.2"


async def test_a_message_names_its_channel_and_has_its_id_and_serial(
    rest: httpx.AsyncClient, endpoint: Endpoint
) -> None:
    """Id and serial are those that subscribers get, so that a receiver can tell repeats."""
    body = {"id": "m-1", "name": "n", "data": "AP8=", "encoding": "base64", "clientId": "alice"}
    answer = await rest.post("/channels/room:1/messages", json=body)
    [item] = endpoint.wait(1)

    assert (item["source"], item["name"]) == ("channel.message", "channel.message")
    assert item["data"]["channelId"] == "room:1"
    [message] = item["data"]["messages"]
    expected = body | {"serial": answer.json()["serials"][0]}
    assert expected.items() <= message.items()


async def test_presence_and_the_life_of_a_channel_are_told_too(
    dial: Dial, endpoint: Endpoint
) -> None:
    """The first attachment opens the channel, the end of the last one closes it."""
    socket = await dial(clientId="alice")
    await socket.ask(10, 11, channel="room:1")
    await socket.ask(14, 1, channel="room:1", msgSerial=0, presence=[{"action": 2}])
    await socket.ask(7, 8)
    items = endpoint.wait(4)

    assert [item["name"] for item in items] == [
        "channel.opened",
        "presence.message",
        "presence.message",
        "channel.closed",
    ]
    events = [item["data"]["presence"][0] for item in items[1:3]]
    assert [(one["clientId"], one["action"]) for one in events] == [("alice", 2), ("alice", 3)]
    assert items[0]["data"]["status"]["isActive"]


async def test_what_is_not_taken_is_delivered_again_in_order(
    rest: httpx.AsyncClient, endpoint: Endpoint
) -> None:
    """It is repeated after 5xx and 4xx, and later events wait for it."""
    endpoint.failures = [500, 404, 503]

    await publish(rest, "a", "b", "c")
    endpoint.wait(3)

    assert names(endpoint.items()) == ["a", "b", "c"]
    assert len(endpoint.deliveries) >= 4
    first = endpoint.deliveries[0].items[0]
    assert all(delivery.items[0] == first for delivery in endpoint.deliveries[:4])


async def test_events_wait_for_an_endpoint_that_is_not_up_yet(
    ably: AblyServer, rest: httpx.AsyncClient, endpoint: Endpoint
) -> None:
    """The stack starts the application after this server."""
    endpoint.stop()
    await publish(rest, "a", "b")

    endpoint.start()

    assert names(endpoint.wait(2)) == ["a", "b"]


async def test_batches_can_be_repeated_out_of_order(
    ably: AblyServer, rest: httpx.AsyncClient, endpoint: Endpoint
) -> None:
    """Delivery is at least once, so a receiver must be ready for repeats."""
    await publish(rest, "a")
    endpoint.wait(1)
    await publish(rest, "b")
    before = endpoint.wait(2)
    while ably.webhooks_waiting():
        await asyncio.sleep(0.005)

    assert ably.redeliver(times=2) == 4
    after = endpoint.wait(6)[2:]

    assert names(after) == ["b", "a", "b", "a"]
    assert all(item in before for item in after)


async def test_a_batch_has_at_most_fifty_events(
    rest: httpx.AsyncClient, endpoint: Endpoint
) -> None:
    """As on Ably's free package."""
    endpoint.failures = [503]
    channels = [f"room:{number}" for number in range(120)]
    await rest.post("/messages", json={"channels": channels, "messages": {"name": "x"}})

    endpoint.wait(120)

    assert [len(delivery.items) for delivery in endpoint.accepted] == [50, 50, 20]
