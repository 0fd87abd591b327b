"""The browser client in Chromium, on pages of the product's own origin."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest
from playwright.async_api import Page

from tests.support.browser import NEEDS_CHROMIUM, signed_in
from tests.support.container import Container
from tests.support.execution_environment import (
    BUFFERED,
    STREAMING,
    ExecutionEnvironment,
    variables,
)
from tests.support.gateway import Gateway
from tests.support.jobs import JobCaller
from tests.support.outage import through_an_outage
from tests.support.publisher import Publisher
from tests.support.upstash_server import UpstashServer
from tests.support.web_client import NEEDS_CLIENT, page_script

TOPIC = "user:alice:news"
# What comes lands in `seen`; `stream` is an EventStream, or with a user a SharedStream.
OPEN = """({ topics, user, token, ...options }) => {
  if (token) options.getToken = () => token;
  window.seen = [];
  window.gaps = [];
  window.states = [];
  const handlers = {
    tick: ({ id }) => seen.push(id),
    reset: ({ reason }) => gaps.push(reason),
  };
  if (user) {
    window.stream = new millrace.SharedStream("/api/events", { user, ...options });
    stream.watch(topics, handlers);
  } else {
    window.stream = new millrace.EventStream("/api/events", { topics, ...options });
    for (const [type, handler] of Object.entries(handlers)) stream.on(type, handler);
  }
  stream.subscribe(() => states.push(stream.state.via ?? stream.state.status));
}"""
FOLLOW = """async ({ id, via }) => {
  const versions = [];
  const onChange = ({ version }) => versions.push(version);
  const { status } = await millrace.followJob({}, id, { via, onChange });
  return { status, versions };
}"""
TABS = 6

pytestmark = [NEEDS_CHROMIUM, *NEEDS_CLIENT]


async def test_every_event_comes_once_through_a_kill_a_dead_network_and_a_reload(
    page: Page, server: Container, publisher: Publisher
) -> None:
    """What was published meanwhile comes, in order; the cursor outlives the page."""
    await open_stream(page, server)
    await through_an_outage(server, publisher, TOPIC, has_events(page))
    await page.context.set_offline(True)
    await page.evaluate("stream.reconnect()")
    await page.wait_for_function("stream.state.error?.kind === 'network'")
    await publisher.burst([TOPIC], 5)
    await page.context.set_offline(False)
    await has_events(page)(65)
    before = await page.evaluate("[seen, gaps, states]")
    await page.goto(f"{server.url}/api/health")
    await publisher.burst([TOPIC], 5)
    await page.add_script_tag(content=page_script())
    await page.evaluate(OPEN, {"topics": [TOPIC]})
    await has_events(page)(5)

    assert [*before[0], *await page.evaluate("seen")] == publisher.published[TOPIC]
    assert [*before[1], *await page.evaluate("gaps")] == []
    assert "reconnecting" in before[2]


@pytest.mark.alone  # it measures time
async def test_six_tabs_have_one_stream_and_a_killed_leader_is_replaced_within_two_seconds(
    page: Page, server: Container, publisher: Publisher
) -> None:
    """The tab that reads for all is closed without a chance to say so; nothing is lost or twice."""
    assert page.context.browser is not None
    browser = await page.context.browser.new_context()
    tabs = [await browser.new_page() for _ in range(TABS)]
    for tab in tabs:
        await open_stream(tab, server, user="alice")
    assert await open_streams(server) == 1
    await publisher.burst([TOPIC], 5)
    for tab in tabs:
        await has_events(tab)(5)
    # The first was alone when it asked for the lock.
    leader, *others = tabs
    await leader.close(run_before_unload=False)
    began = asyncio.get_running_loop().time()
    await publisher.burst([TOPIC], 5)
    for tab in others:
        await has_events(tab)(10)
    took_s = asyncio.get_running_loop().time() - began

    assert took_s < 2
    assert await open_streams(server) == 1
    for tab in others:
        assert await tab.evaluate("seen") == publisher.published[TOPIC]
        assert await tab.evaluate("gaps") == []


async def test_a_page_that_is_shown_again_brings_a_fresh_token_with_its_first_request(
    page: Page, server: Container, publisher: Publisher
) -> None:
    """The token has expired while the page was hidden; no request is refused."""
    await signed_in(page, server)
    await page.context.clear_cookies()
    await page.add_script_tag(content=page_script())
    statuses: list[int] = []
    page.on("response", lambda answer: statuses.append(answer.status))
    tokens = {"old": server.token("alice", ttl_s=1), "new": server.token("alice")}
    await page.evaluate(
        """(tokens) => {
          window.told = [];
          window.page = (tell) => { window.tell = tell; return () => {} };
          window.getToken = ({ fresh }) => {
            told.push(fresh);
            return fresh ? tokens.new : tokens.old;
          };
        }""",
        tokens,
    )
    own = "({ topics }) => (" + OPEN + ")({ topics, getToken, page, pauseWhenHidden: 100 })"
    await page.evaluate(own, {"topics": [TOPIC]})
    await is_open(page)
    await page.evaluate("tell('hidden')")
    await page.wait_for_function("stream.state.status === 'paused'")
    await asyncio.sleep(1.1)
    await publisher.burst([TOPIC], 5)
    await page.evaluate("tell('visible')")
    await has_events(page)(5)

    assert await page.evaluate("told") == [False, True]
    assert set(statuses) == {200}
    assert await page.evaluate("seen") == publisher.published[TOPIC]


async def test_buffered_answers_lead_to_polls_and_back_when_they_stream_again(
    page: Page, upstash: UpstashServer, publisher: Publisher, elsewhere: Container
) -> None:
    """Two windows of a buffered function, then JSON; later the same address streams."""
    settings = variables(upstash, window_s=0.3, retry_ms=1000)
    async with (
        ExecutionEnvironment(BUFFERED, settings) as buffered,
        ExecutionEnvironment(STREAMING, settings, at_once=4) as streaming,
        Gateway([buffered]) as gateway,
    ):
        await page.goto(f"{gateway.url}/api/health")
        await page.add_script_tag(content=page_script())
        options = {"token": elsewhere.token("alice"), "pollMs": 2200}
        await page.evaluate(OPEN, {"topics": [TOPIC], **options})
        await page.wait_for_function("states.length > 0")
        await publisher.burst([TOPIC], 5)
        await page.wait_for_function("stream.state.via === 'poll'")
        states = await page.evaluate("states")
        await publisher.burst([TOPIC], 5)
        await has_events(page)(10)
        gateway._environments[:] = [streaming]
        await page.wait_for_function("stream.state.via === 'stream'")
        await publisher.burst([TOPIC], 5)
        await has_events(page)(15)
        seen = await page.evaluate("seen")
        await page.evaluate("stream.close()")

    assert states == ["stream", "reconnecting", "stream", "reconnecting", "poll"]
    assert seen == publisher.published[TOPIC]


async def test_a_job_is_followed_by_polls_by_waiting_and_by_a_stream(
    page: Page, job_host: Container
) -> None:
    """All three end with the same state, and none goes back in its versions."""
    await with_client(page, job_host)
    ends = []
    for via in ("poll", "wait", "stream"):
        async with JobCaller(job_host) as alice:
            job_id = await alice.start("checksums", items=[{"name": "a", "size": 1_000_000}])
            ends.append(await page.evaluate(FOLLOW, {"id": job_id, "via": via}))

    for end in ends:
        assert end["status"] == "succeeded"
        assert end["versions"] == sorted(end["versions"])


async def open_stream(page: Page, server: Container, **options: object) -> None:
    """A page of alice reads her news; returns when it is open."""
    await with_client(page, server)
    await page.evaluate(OPEN, {"topics": [TOPIC], **options})
    await is_open(page)


async def with_client(page: Page, server: Container, user: str = "alice") -> None:
    """A page of that user, on which the client is `millrace`."""
    await signed_in(page, server, user)
    await page.add_script_tag(content=page_script())


async def is_open(page: Page) -> None:
    await page.wait_for_function("stream.state.status === 'open'")


async def open_streams(server: Container) -> int:
    """How many the server says that it holds, once that has been the same for a moment."""
    async with httpx.AsyncClient(base_url=server.url, verify=False) as http:
        await asyncio.sleep(0.3)
        metrics = (await http.get("/api/metrics")).raise_for_status().text
    (line,) = [line for line in metrics.splitlines() if line.startswith("millrace_open_streams ")]
    return int(float(line.split()[1]))


def has_events(page: Page) -> Callable[[int], Awaitable[None]]:
    async def has(count: int) -> None:
        await page.wait_for_function("(count) => seen.length >= count", arg=count)

    return has
