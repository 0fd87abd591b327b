"""The browser client in Chromium, on pages of the product's own origin."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from playwright.async_api import Page

from tests.support.browser import NEEDS_CHROMIUM, signed_in
from tests.support.container import Container
from tests.support.outage import through_an_outage
from tests.support.publisher import Publisher
from tests.support.web_client import NEEDS_CLIENT, page_script

OPEN = """({ topics, ...options }) => {
  window.seen = [];
  window.gaps = [];
  window.states = [];
  window.stream = new millrace.EventStream("/api/events", { topics, ...options });
  stream.on("tick", ({ id }) => seen.push(id));
  stream.on("reset", ({ reason }) => gaps.push(reason));
  stream.subscribe(() => states.push(stream.state.status));
}"""

pytestmark = [NEEDS_CHROMIUM, *NEEDS_CLIENT]


async def test_every_event_comes_once_through_a_kill_and_restart(
    page: Page, server: Container, publisher: Publisher
) -> None:
    """The server is killed amid the stream; what was published meanwhile comes, in order."""
    topic = "user:alice:news"
    await with_client(page, server)
    await page.evaluate(OPEN, {"topics": [topic]})
    await is_open(page)
    ids = await through_an_outage(server, publisher, topic, has_events(page))

    assert await page.evaluate("seen") == ids
    assert await page.evaluate("gaps") == []
    assert "reconnecting" in await page.evaluate("states")


async def with_client(page: Page, server: Container, user: str = "alice") -> None:
    """A page of that user, on which the client is `millrace`."""
    await signed_in(page, server, user)
    await page.add_script_tag(content=page_script())


async def is_open(page: Page) -> None:
    await page.wait_for_function("stream.state.status === 'open'")


def has_events(page: Page) -> Callable[[int], Awaitable[None]]:
    async def has(count: int) -> None:
        await page.wait_for_function("(count) => seen.length >= count", arg=count)

    return has
