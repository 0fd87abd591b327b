"""Chromium, and how a page in it signs in to a server in local mode."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright

from tests.support.container import Container

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SIGN_IN = """async (user) => {
  const body = JSON.stringify({ user });
  const headers = { "Content-Type": "application/json" };
  return (await fetch("/api/dev/session", { method: "POST", body, headers })).status;
}"""

NEEDS_CHROMIUM = pytest.mark.skipif(not CHROMIUM.exists(), reason="chromium is not installed")


@asynccontextmanager
async def chromium_page() -> AsyncIterator[Page]:
    """An empty page in a new browser."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await browser.new_page()
        page.set_default_timeout(20_000)
        yield page
        await browser.close()


async def signed_in(page: Page, server: Container, user: str = "alice") -> None:
    """Load a page of the server's origin, which gets its session cookie."""
    await page.goto(f"{server.url}/api/health")
    assert await page.evaluate(SIGN_IN, user) == 201
