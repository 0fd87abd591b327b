"""The native EventSource of Chromium, on pages of the product's own origin and of others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from playwright.async_api import Page

from tests.e2e.conftest import Start
from tests.support.browser import NEEDS_CHROMIUM, signed_in
from tests.support.container import Container
from tests.support.outage import through_an_outage
from tests.support.publisher import Publisher

# Everything lands in `seen`, and `lastId` is what the browser would send next.
OPEN = """({ url, named }) => {
  const source = new EventSource(url);
  const take = (event) => {
    window.lastId = event.lastEventId;
    const { type, id } = JSON.parse(event.data);
    window.seen.push(type === "tick" ? id : type);
  };
  window.seen = [];
  window.source = source;
  if (named) {
    for (const type of ["connected", "reset", "tick"]) source.addEventListener(type, take);
  } else {
    source.onmessage = take;
  }
}"""
TICKET = """async ({ url, token, topics }) => {
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${token}` };
  const body = JSON.stringify({ topics });
  const answer = await fetch(`${url}/api/stream-tickets`, { method: "POST", body, headers });
  return (await answer.json()).ticket;
}"""
CONTROL = {"connected", "reset"}

pytestmark = NEEDS_CHROMIUM


async def test_an_eventsource_has_every_event_once_through_a_kill_and_restart(
    page: Page, server: Container, publisher: Publisher
) -> None:
    """Signed in by cookie; the browser reconnects by itself and is told what it missed."""
    topic = "user:alice:news"
    await signed_in(page, server)
    await open_stream(page, f"/api/events?topic={topic}", named=True)
    ids = await through_an_outage(server, publisher, topic, has_events(page))

    assert await events(page) == ids
    assert await page.evaluate("seen.filter((one) => one === 'connected').length") == 2
    assert not await page.evaluate("seen.includes('reset')")


async def test_a_bare_onmessage_sees_everything_of_a_stream_without_names(
    page: Page, server: Container, publisher: Publisher
) -> None:
    """`named=false`: no event type has to be known, and a kill costs nothing either."""
    topic = "user:alice:news"
    await signed_in(page, server)
    await open_stream(page, f"/api/events?topic={topic}&named=false", named=False)
    ids = await through_an_outage(server, publisher, topic, has_events(page))

    assert await events(page) == ids


async def test_a_page_of_another_origin_reads_with_tickets_and_goes_on_with_its_cursor(
    page: Page, start: Start, publisher: Publisher, elsewhere: Container
) -> None:
    """No token in any URL: each connection has a ticket of its own, made over CORS."""
    server, topic = start(allowed_origins=elsewhere.url), "user:alice:news"
    token = server.token("alice", roles=[])
    await page.goto(f"{elsewhere.url}/api/health")
    await open_stream(page, await ticketed(page, server, token, topic), named=True)
    await publisher.burst([topic], 10)
    await has_events(page)(10)
    first, cursor = await events(page), await page.evaluate("source.close(), lastId")
    await publisher.burst([topic], 10)
    url = await ticketed(page, server, token, topic)
    await open_stream(page, f"{url}&cursor={cursor}", named=True)
    await has_events(page)(10)

    assert [*first, *await events(page)] == publisher.published[topic]


async def test_a_page_of_an_origin_that_is_not_allowed_reads_nothing(
    page: Page, server: Container, elsewhere: Container
) -> None:
    """The cookie of another site's page opens no stream that the page could read."""
    await signed_in(page, server)
    await page.goto(f"{elsewhere.url}/api/health")
    url = f"{server.url}/api/events?topic=user:alice:news"
    await page.evaluate(
        """(url) => {
          window.seen = [];
          window.source = new EventSource(url, { withCredentials: true });
          source.addEventListener("connected", () => seen.push("connected"));
        }""",
        url,
    )
    await page.wait_for_function("source.readyState === EventSource.CLOSED")

    assert await page.evaluate("seen") == []


async def open_stream(page: Page, url: str, *, named: bool) -> None:
    """Return when the first frame is there."""
    await page.evaluate(OPEN, {"url": url, "named": named})
    await page.wait_for_function("seen.includes('connected')")


async def ticketed(page: Page, server: Container, token: str, topic: str) -> str:
    wanted = {"url": server.url, "token": token, "topics": [topic]}
    ticket: str = await page.evaluate(TICKET, wanted)
    return f"{server.url}/api/events?topic={topic}&ticket={ticket}"


def has_events(page: Page) -> Callable[[int], Awaitable[None]]:
    async def has(count: int) -> None:
        await page.wait_for_function(
            "(count) => seen.filter((one) => one.includes('-')).length >= count", arg=count
        )

    return has


async def events(page: Page) -> list[str]:
    seen: list[Any] = await page.evaluate("seen")
    return [one for one in seen if one not in CONTROL]
