"""Ably's own clients, unmodified, with `authUrl` on our endpoint."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import httpx
import pytest
from playwright.async_api import Page, async_playwright

from tests.e2e.chat import Ably, Deployment
from tests.e2e.conftest import Start
from tests.integration.local_ably.scripts import needs_node
from tests.support.ably_server import AblyServer
from tests.support.browser import CHROMIUM, FLAGS
from tests.support.programs import NODE
from tests.support.raw_reader import Reader, reading
from tests.support.tcp_server import HttpAnswer, http_server

ACCOUNT = os.environ.get("ABLY_API_KEY")
SERVICES = [
    "local",
    pytest.param(
        "real",
        marks=pytest.mark.skipif(ACCOUNT is None, reason="no account: set ABLY_API_KEY for it"),
    ),
]
SDK = NODE / "node_modules" / "ably" / "build" / "ably.min.js"
SCENES = (NODE / "chat-scenes.mjs").read_text().replace("export async function", "async function")
IN_BROWSER = """async ({ scene, authUrl, token, ably, ...more }) => {
  const authHeaders = { Authorization: `Bearer ${token}` };
  const connect = (own = {}) => new Ably.Realtime({
    authUrl, authHeaders, disconnectedRetryTimeout: 100, logLevel: 0, ...ably, ...own,
  });
  return { takePart, outlive }[scene]({ connect, ...more });
}"""

pytestmark = needs_node


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> Ably:
    if request.param == "real":
        assert ACCOUNT is not None
        return Ably(ACCOUNT)
    local: AblyServer = request.getfixturevalue("ably")
    return Ably(local.key, local.url)


@pytest.fixture
def origin() -> Iterator[str]:
    """Of an empty page, elsewhere than the application."""
    page = HttpAnswer(200, b"<!doctype html><title>page</title>")
    with http_server(lambda _: page) as port:
        yield f"http://localhost:{port}"


@pytest.fixture
def deployment(start: Start, service: Ably, origin: str) -> Deployment:
    container = start(**service.settings, allowed_origins=origin, poll_idle_ms=1000)
    return Deployment(container, service, f"e2e-{uuid4().hex[:12]}")


@pytest.fixture
async def page(origin: str) -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await browser.new_page()
        await page.goto(origin)
        await page.add_script_tag(path=SDK)
        await page.add_script_tag(content=SCENES)
        yield page
        await browser.close()


async def play(page: Page, at: Deployment, user: str, scene: str, **more: Any) -> Any:
    """What a scene of `chat-scenes.mjs` returns in the browser, signed in as `user`."""
    client = {"authUrl": at.auth_url, "token": at.token(user), "ably": at.ably.for_js}
    given = {"scene": scene, "channel": f"room:{at.room}", **client, **more}
    return await page.evaluate(IN_BROWSER, given)


@pytest.mark.skipif(not CHROMIUM.exists(), reason="chromium is not installed")
async def test_node_chromium_and_python_share_a_room(deployment: Deployment, page: Page) -> None:
    """Messages both ways, presence, history, and rewind; three SDKs, two formats, one order."""
    deployment.open_room("bob", "carol")
    browser, node, python = await asyncio.gather(
        play(page, deployment, "carol", "takePart", count=3, **{"as": "carol"}),
        deployment.node("chat-room.mjs", "alice", "alice", "3"),
        deployment.python("chat_room.py", "bob", "bob", "3"),
    )

    everybody = ["alice", "bob", "carol"]
    assert sorted(browser["heard"]) == [[name, {"from": name}] for name in everybody]
    assert browser["heard"] == node["heard"] == python["heard"]
    for one in (browser, node, python):
        assert (one["present"], one["past"]) == (everybody, everybody)
    assert (browser["rewound"], node["rewound"]) == (2, 2)


async def test_a_reader_does_nothing_but_read(deployment: Deployment) -> None:
    """Nor does it become somebody else, by asking, by a replay or by a change of its request."""
    deployment.open_room("bob", joins_as="reader")

    results = await deployment.node("chat-refusals.mjs", "bob")

    assert results == {
        "publish": 40160,
        "publishByRest": 40160,
        "enter": 40160,
        "foreign": 40160,
        "wildcard": 40160,
        "connection": "connected",
        "claimed": 40102,
        "given": "bob",
        "first": None,
        "replayed": 40105,
        "tampered": 40101,
    }


@pytest.mark.skipif(not CHROMIUM.exists(), reason="chromium is not installed")
async def test_a_connection_outlives_its_tokens_and_a_cut(
    deployment: Deployment, page: Page
) -> None:
    """Renewed in time, renewed after the end, and resumed without a gap or a double."""
    elsewhere = replace(deployment, room=f"{deployment.room}-2")
    deployment.open_room("bob")
    elsewhere.open_room("carol")

    results = await asyncio.gather(
        deployment.node("chat-tokens.mjs", "bob"), play(page, elsewhere, "carol", "outlive")
    )

    for one in results:
        assert one == {
            "renewed": ["connected", True],
            "expired": [40142, True],
            "resumed": [True, ["1", "2", "3", "4", "5"]],
        }


async def test_ably_python_outlives_its_token_too(deployment: Deployment) -> None:
    """It asks again at the end of its JWT, and hears on."""
    deployment.open_room("bob")

    results = await deployment.python("chat_tokens.py", "bob")

    assert results == {"heard": ["before", "after"], "renewed": True}


async def test_a_ban_ends_a_connection_for_good(deployment: Deployment) -> None:
    """The endpoint refuses first, then the token is revoked; the SDK does not try again."""
    deployment.open_room("bob")
    client = asyncio.create_task(deployment.node("chat-ban.mjs", "bob"))

    banned = await _banned_once_present(deployment, client)
    results = await client

    assert banned["is_revoked"]
    assert results == {"code": 80019, "cause": 40300, "state": "failed"}


async def test_a_ban_from_one_room_leaves_the_others(deployment: Deployment) -> None:
    """The token that replaces the revoked one lacks that room, and nothing else."""
    deployment.open_room("bob")
    other = replace(deployment, room=f"{deployment.room}-2")
    other.open_room("bob")
    client = asyncio.create_task(deployment.node("chat-kick.mjs", "bob", f"room:{other.room}"))

    await _banned_once_present(deployment, client)

    assert await client == {"channel": 40160, "connection": "connected", "other": "attached"}


async def test_the_chat_sdk_works_on_a_room_of_ours(deployment: Deployment) -> None:
    """Messages, history, typing, presence and occupancy, with a member's token."""
    deployment.open_room("bob")

    results = await deployment.node("chat-sdk.mjs", "bob")

    assert results == {
        "heard": [["bob", "grüße @alice"]],
        "typing": ["bob"],
        "present": ["bob"],
        "past": ["grüße @alice"],
        "before": 0,
        "occupancy": 1,
    }


async def test_what_we_send_is_heard_and_kept(deployment: Deployment) -> None:
    """Through our moderation, in the sender's name; the same history, by our own cursor."""
    deployment.open_room("bob")
    path = f"/rooms/{deployment.room}/messages"
    for number in range(3):
        for _ in range(2):
            key = {"Idempotency-Key": f"k{number}"}
            body = {"data": {"n": number}}
            deployment.call("bob", "POST", path, json=body, headers=key)

    first = deployment.call("alice", "GET", f"{path}?limit=2")
    second = deployment.call("alice", "GET", f"{path}?before={first['before']}")

    found = [*first["messages"], *second["messages"]]
    assert [(one["client_id"], one["data"]["n"]) for one in found] == [
        *(("bob", 2), ("bob", 1), ("bob", 0)),
    ]


async def test_a_message_reaches_readers_of_the_topic_at_once_and_once(
    start: Start, ably: AblyServer
) -> None:
    """By the webhook, which delivers each three times and not in order."""
    service = Ably(ably.key, ably.url)
    deployment = Deployment(start(**service.settings), service, "lobby")
    deployment.open_room("bob")
    ably.webhook(f"{deployment.container.url}/api/chat/webhook")
    topic, token = "room:lobby", deployment.token("bob")
    reader = Reader(deployment.container.url, token, [topic])
    took_s = []
    async with reading([reader]), httpx.AsyncClient(verify=False) as http:

        async def say(text: str) -> None:
            url = f"{ably.url}/channels/{topic}/messages"
            name, _, secret = ably.key.partition(":")
            body = {"name": "m", "data": text, "clientId": "bob"}
            (await http.post(url, json=body, auth=(name, secret))).raise_for_status()

        for number in range(10):
            began = time.perf_counter()
            await say(str(number))
            await reader.has(number + 1)
            took_s.append(max(reader.arrived.values()) - began)
        assert ably.redeliver(2) > 0
        await say("the last, which comes after all repeats")
        await reader.has(11)

    assert reader.count == 11
    assert statistics.median(took_s) < 0.5, took_s


async def _banned_once_present(deployment: Deployment, client: asyncio.Task[Any]) -> Any:
    """What alice is answered when she bans bob, whose client has entered the room."""
    room = f"/rooms/{deployment.room}"

    async def alice(method: str, path: str, **options: Any) -> Any:
        return await asyncio.to_thread(deployment.call, "alice", method, room + path, **options)

    while not (await alice("GET", "/presence"))["present"]:
        assert not client.done(), client.result()
        await asyncio.sleep(0.05)
    return await alice("POST", "/bans", json={"user": "bob"})
