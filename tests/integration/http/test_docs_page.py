"""The interactive docs in a browser: they render, and nothing leaves this machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.support.container import Container
from tests.support.upstash_server import UpstashServer

CHROMIUM = shutil.which("chromium")
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="install chromium")


@pytest.fixture
def container(upstash: UpstashServer) -> Iterator[Container]:
    container = Container(upstash).start()
    yield container
    container.stop()


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield browser.new_page()
        browser.close()


def test_docs_render_without_a_network(container: Container, page: Page) -> None:
    requests: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))

    page.goto(f"{container.url}/api/docs")
    page.click("#operations-events-read_events .opblock-summary-control")
    page.wait_for_selector("text=text/event-stream", state="attached")

    assert page.locator(".opblock").count() > 10
    assert [url for url in requests if not url.startswith(container.url)] == []
    assert complaints == []
