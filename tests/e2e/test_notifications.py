"""Notifications on several devices of several users, in Chromium."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import median
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, Page, async_playwright

from tests.e2e.conftest import Start
from tests.support.browser import CHROMIUM, FLAGS, SIGN_IN
from tests.support.container import Container

UPDATED_MS = 300
OPEN = """() => {
  window.seen = [];
  window.source = new EventSource("/api/notifications/stream");
  const take = (event) => {
    const { type, topic, id, data } = JSON.parse(event.data);
    seen.push({ type, name: `${topic}/${id}`, data, at: Date.now() });
  };
  const types = ["connected", "notification", "notifications.read", "notifications.deleted"];
  for (const type of types) source.addEventListener(type, take);
}"""
MARK_READ = """async (body) => {
  const at = Date.now();
  const headers = { "Content-Type": "application/json" };
  const options = { method: "POST", headers, body: JSON.stringify(body) };
  await fetch("/api/notifications/read", options);
  return at;
}"""
FETCH = "async (url) => (await fetch(url)).json()"
HAS = "(count) => seen.filter((one) => one.type === 'notification').length >= count"
TITLES = "seen.filter((one) => one.type === 'notification').map((one) => one.data.title)"
READ_AT = "(name) => seen.find((one) => one.data?.ids?.includes(name))?.at"

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="chromium is not installed")


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@asynccontextmanager
async def sender(server: Container) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {server.token('backend')}"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers, verify=False) as http:
        yield http


async def send(http: httpx.AsyncClient, title: str, to: Any) -> str:
    body = {"title": title, "to": to}
    answer = await http.post("/api/notifications", json=body)
    (sent,) = answer.raise_for_status().json()["sent"]
    return f"{sent['topic']}/{sent['id']}"


async def device(browser: Browser, server: Container, user: str) -> Page:
    """A browser of its own, signed in, with the stream open."""
    context = await browser.new_context()
    page = await context.new_page()
    page.set_default_timeout(20_000)
    await page.goto(f"{server.url}/api/health")
    assert await page.evaluate(SIGN_IN, user) == 201
    await online(page, server)
    return page


async def online(page: Page, server: Container) -> None:
    await page.goto(f"{server.url}/api/health")
    await page.evaluate(OPEN)
    await page.wait_for_function("seen.length > 0")


async def test_all_devices_of_a_user_agree_on_what_was_sent_and_read(
    browser: Browser, start: Start
) -> None:
    """The other user sees broadcasts only; what one device reads the other shows in time."""
    server = start()
    laptop = await device(browser, server, "alice")
    phone = await device(browser, server, "alice")
    other = await device(browser, server, "bob")
    async with sender(server) as http:
        names = [await send(http, f"for alice {n}", ["alice"]) for n in range(5)]
        await send(http, "for all", "all")
        for page, count in ((laptop, 6), (phone, 6), (other, 1)):
            await page.wait_for_function(HAS, arg=count)
        took_ms = []
        for name in names:
            marked_at = await laptop.evaluate(MARK_READ, {"ids": [name]})
            told = await phone.wait_for_function(READ_AT, arg=name)
            took_ms.append(await told.json_value() - marked_at)

        expected = [*(f"for alice {n}" for n in range(5)), "for all"]
        assert sorted(await phone.evaluate(TITLES)) == sorted(expected)
        assert await other.evaluate(TITLES) == ["for all"]
        assert median(took_ms) < UPDATED_MS, took_ms

        for page in (laptop, phone):
            await page.goto("about:blank")
        await send(http, "while away", ["alice"])
        await send(http, "to all meanwhile", "all")
        for page in (laptop, phone):
            await online(page, server)
            await page.wait_for_function(HAS, arg=3)
            assert await page.evaluate(TITLES) == ["for all", "while away", "to all meanwhile"]
            unread = await page.evaluate(FETCH, "/api/notifications/unread")
            assert unread == {"unread": 3}
        listed = await laptop.evaluate(FETCH, "/api/notifications")
        assert [one["read"] for one in listed["data"]] == [False, False, False, *[True] * 5]

        await laptop.evaluate(MARK_READ, {"up_to": listed["seen"]})
        await phone.wait_for_function("seen.some((one) => one.type === 'notifications.read')")
        assert await phone.evaluate(FETCH, "/api/notifications/unread") == {"unread": 0}
        assert await other.evaluate(FETCH, "/api/notifications/unread") == {"unread": 2}
