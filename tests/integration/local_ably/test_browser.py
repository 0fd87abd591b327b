"""The vendor's client in Chromium, on a page of another origin than the server's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright

from tests.integration.local_ably.scripts import needs_node, run_node, run_python
from tests.support.ably_server import AblyServer
from tests.support.browser import CHROMIUM, FLAGS
from tests.support.programs import NODE

SDK = NODE / "node_modules" / "ably" / "build" / "ably.min.js"
# A browser that finds no WebSocket would try another transport, and ping a host of the internet.
OPEN = """({ port, details }) => {
  window.client = new Ably.Realtime({
    authCallback: (_, done) => done(null, details),
    endpoint: "127.0.0.1", port, tls: false, transports: ["web_socket"],
  });
  return new Promise((done) => client.connection.once("connected", () => done()));
}"""
ROOM = """async (count) => {
  const channel = client.channels.get("room:all");
  const heard = [];
  const until = async (isTrue) => {
    while (!(await isTrue())) await new Promise((done) => setTimeout(done, 5));
  };
  await channel.subscribe((message) => heard.push([message.clientId, message.data]));
  await channel.presence.enter();
  await until(async () => (await channel.presence.get()).length === count);
  await channel.publish("said", { from: "browser" });
  await until(() => heard.length === count);
  return heard;
}"""
PAGES = """async () => {
  const channel = client.channels.get("room:rest");
  for (const name of ["a", "b", "c"]) await channel.publish(name, "x");
  const page = await channel.history({ limit: 2 });
  const next = await page.next();
  const refused = await client.request("GET", "/channels/other/messages", 3);
  const present = await channel.presence.history();
  return {
    pages: [page.items.map((one) => one.name), next.items.map((one) => one.name), next.hasNext()],
    refused: [refused.statusCode, refused.errorCode],
    present: present.items.length,
  };
}"""

pytestmark = [
    *needs_node,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="chromium is not installed"),
]


@pytest.fixture
async def page(ably: AblyServer) -> AsyncIterator[Page]:
    """A page on `localhost`, which is another origin than 127.0.0.1, with a connected client."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await browser.new_page()
        await page.goto(f"http://localhost:{ably.port}/time")
        await page.add_script_tag(path=SDK)
        arguments = {"port": ably.port, "details": issued(ably)}
        await page.evaluate(OPEN, arguments)
        yield page
        await page.evaluate("client.close()")
        await browser.close()


def issued(ably: AblyServer) -> Any:
    name = ably.key.partition(":")[0]
    wanted = {"keyName": name, "clientId": "browser", "capability": '{"room:*":["*"]}'}
    with ably.client() as http:
        return http.post(f"/keys/{name}/requestToken", json=wanted).json()


async def test_browser_node_and_python_talk_to_each_other(ably: AblyServer, page: Page) -> None:
    """Each says one thing; all three hear all of it, in one order."""
    heard = await asyncio.gather(
        page.evaluate(ROOM, 3),
        run_node(ably, "ably-room.mjs", "node", "3"),
        run_python(ably, "room.py", "python", "3"),
    )

    assert sorted(heard[0]) == [[name, {"from": name}] for name in ("browser", "node", "python")]
    assert heard[0] == heard[1] == heard[2]


async def test_a_browser_reads_pages_and_refusals_over_rest(page: Page) -> None:
    """Its requests are cross-origin, with `envelope=json`, and the next page is in the envelope."""
    assert await page.evaluate(PAGES) == {
        "pages": [["c", "b"], ["a"], False],
        "refused": [401, 40160],
        "present": 0,
    }
