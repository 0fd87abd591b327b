"""The page at `/`, in a browser."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.integration.stack.running import RunningStack

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
OFFLINE = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=OFFLINE)
        yield chromium
        await chromium.close()


async def opened(browser: Browser, running: RunningStack, user: str) -> Page:
    """The page of one user, in a session of its own, when its stream is open."""
    page = await (await browser.new_context()).new_page()
    await page.goto(running.settings()["MILLRACE_URL"])
    await page.get_by_label("User").select_option(user)
    await page.get_by_role("button", name="Connect").click()
    await expect(page.get_by_role("status")).to_have_text("open to public:room")
    return page


async def publish(page: Page, text: str) -> None:
    await page.get_by_label("Message").fill(text)
    await page.get_by_role("button", name="Publish").click()


async def test_two_users_see_what_each_other_publishes(
    stack: RunningStack, browser: Browser
) -> None:
    """Live, in order, and as text: markup of another user is never run."""
    alice = await opened(browser, stack, "alice")
    bob = await opened(browser, stack, "bob")

    await publish(alice, "Hello Bob")
    await expect(bob.get_by_role("listitem").first).to_contain_text("alice: Hello Bob")
    await publish(bob, "<b>Grüße</b>")

    await expect(alice.get_by_role("listitem").first).to_contain_text("bob: <b>Grüße</b>")
    await expect(alice.get_by_role("listitem")).to_have_count(2)


async def test_a_refusal_says_what_to_do(stack: RunningStack, browser: Browser) -> None:
    """An EventSource hides why it was refused, so the page asks."""
    bob = await opened(browser, stack, "bob")

    await bob.get_by_label("Topic").fill("team:secret")
    await bob.get_by_role("button", name="Connect").click()

    await expect(bob.get_by_role("status")).to_contain_text("closed")
    await expect(bob.get_by_role("alert")).to_contain_text("Ask for a grant")


async def test_the_page_comes_back_after_a_restart(
    start: Callable[..., RunningStack], browser: Browser
) -> None:
    """It says that the stream ended, that the server is away, and what is missing."""
    first = start().ready()
    port = first.settings()["MILLRACE_URL"].rpartition(":")[2]
    page = await opened(browser, first, "alice")
    await publish(page, "before")
    await expect(page.get_by_role("listitem")).to_have_count(1)

    first.stop()
    await expect(page.get_by_role("status")).to_contain_text("connecting bye: shutdown")
    await publish(page, "meanwhile")
    await expect(page.get_by_role("alert")).to_contain_text("Is it running?")
    start(MILLRACE_PORT=port).ready()

    # The local store keeps nothing on disk: what was there before the restart is gone.
    await expect(page.get_by_role("status")).to_contain_text("open reset", timeout=15_000)
    await publish(page, "after")
    await expect(page.get_by_role("listitem").first).to_contain_text("alice: after")
