"""Jobs on a page in Chromium: what the browser does by itself, and what it must not do."""

from __future__ import annotations

from typing import Any

from playwright.async_api import Page

from tests.e2e.conftest import Start
from tests.support.browser import NEEDS_CHROMIUM, signed_in
from tests.support.container import Container
from tests.support.jobs import JobCaller
from tests.support.local_server import ROOT

ROUTE = "/api/jobs/{job_id}"
WAIT_S = 2
ROWS = 200_000
# Nothing about caching is said, as in most applications.
GET_THREE = """async (url) => {
  const seen = [];
  for (let n = 0; n < 3; n++) {
    const answer = await fetch(url);
    const { version } = await answer.json();
    seen.push([answer.status, version, answer.headers.has("X-Poll-After-Ms")]);
  }
  return seen;
}"""
TWO_AT_ONCE = """async (url) => {
  const began = performance.now();
  const get = async () => {
    const answer = await fetch(url, { cache: "no-store" });
    return [answer.status, performance.now() - began];
  };
  return Promise.all([get(), get()]);
}"""
LISTEN = """(url) => {
  window.states = [];
  window.source = new EventSource(url);
  source.addEventListener("job", ({ data }) => states.push(JSON.parse(data)));
}"""
FOLLOW = """async (id) => {
  const { follow } = await import("/follow.mjs");
  const states = [];
  await follow(id, (job) => states.push(job));
  return states;
}"""

pytestmark = NEEDS_CHROMIUM


async def test_the_browser_asks_conditionally_and_shows_the_page_a_200(
    page: Page, start: Start
) -> None:
    """`no-cache` and an ETag are all it takes; the page sees each time the newest headers."""
    server = start(job_workers=0)
    job_id = await started(server, "report")
    await signed_in(page, server)

    seen = await page.evaluate(GET_THREE, f"/api/jobs/{job_id}")

    assert seen == [[200, 1, True]] * 3
    assert server.statuses(ROUTE) == [200, 304, 304]


async def test_two_long_polls_of_one_job_are_held_at_the_same_time(
    page: Page, start: Start
) -> None:
    """As from two tabs; one after the other would take twice as long."""
    server = start(job_workers=0)
    job_id = await started(server, "report")
    await signed_in(page, server)
    url = f"/api/jobs/{job_id}?wait={WAIT_S}&after=1"

    answers = await page.evaluate(TWO_AT_ONCE, url)

    for status, took_ms in answers:
        assert status == 304
        assert WAIT_S - 0.1 < took_ms / 1000 < 1.7 * WAIT_S


async def test_an_eventsource_sees_a_job_to_its_end_and_stops(page: Page, start: Start) -> None:
    """The reconnect after the last state is answered 204, which closes the source for good."""
    server = start(retry_ms=1000)
    await signed_in(page, server)
    job_id = await started(server, "report", sample_rows=ROWS)

    await page.evaluate(LISTEN, f"/api/jobs/{job_id}/events")
    await page.wait_for_function("source.readyState === EventSource.CLOSED")
    states = await page.evaluate("states")

    assert_whole(states)
    assert server.statuses(f"{ROUTE}/events") == [200, 204]


async def test_the_long_poll_of_the_documentation_sees_a_job_to_its_end(
    page: Page, start: Start
) -> None:
    """The module is the one that is shown there."""
    server = start(web_root=ROOT / "tests" / "e2e" / "node" / "polling")
    await signed_in(page, server)
    job_id = await started(server, "report", sample_rows=ROWS)

    assert_whole(await page.evaluate(FOLLOW, job_id))


def assert_whole(states: list[dict[str, Any]]) -> None:
    """Versions rise, progress does not fall, the last one is the end."""
    versions = [job["version"] for job in states]
    progress = [job["progress"] or 0 for job in states]
    assert versions == sorted(set(versions))
    assert progress == sorted(progress)
    assert len(set(progress)) > 1
    assert states[-1]["status"] == "succeeded"
    assert states[-1]["result"]["rows"] == ROWS


async def started(server: Container, type_: str, **data: Any) -> str:
    async with JobCaller(server) as alice:
        return await alice.start(type_, **data)
