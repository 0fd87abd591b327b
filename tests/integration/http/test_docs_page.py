"""The interactive docs in a browser: they render, and nothing leaves this machine."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, sync_playwright

from api.security.cookies import SESSION_COOKIE
from tests.integration.http.conftest import Api
from tests.support.container import Container
from tests.support.upstash_server import UpstashServer

CHROMIUM = shutil.which("chromium")
ARGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="install chromium")


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


@needs_chromium
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


@needs_chromium
def test_one_click_signs_in_where_it_runs_locally(container: Container, page: Page) -> None:
    """The page then sends the session's cookie and its token, without a word typed."""
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(f"{container.url}/api/docs")
    operation = page.locator("#operations-events-publish_event")
    operation.locator(".opblock-summary-control").click()

    page.click("text=Sign in as alice, admin")
    page.wait_for_selector("text=Signed in as alice, admin")
    operation.get_by_text("Try it out").click()
    operation.locator("tr[data-param-name=topic] input").fill("public:orders")
    with page.expect_response("**/api/events/public*") as answered:
        operation.get_by_text("Execute").click()

    assert answered.value.status == 201
    assert answered.value.request.all_headers()["authorization"].startswith("Bearer ")
    assert [cookie["name"] for cookie in page.context.cookies()] == [SESSION_COOKIE]
    assert complaints == []


async def test_only_local_mode_offers_to_sign_in(api: Api, local_api: Api) -> None:
    """Anywhere else there is nothing to sign in with one click."""
    for one, is_offered in ((api, False), (local_api, True)):
        page = await one.client.get("/api/docs")
        script = await one.client.get("/api/docs/sign-in.js")

        assert ("sign-in" in page.text) == is_offered
        assert script.is_success == is_offered
