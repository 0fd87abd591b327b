"""SWR and TanStack Query, unmodified, on a page that shows a job of a real server."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest

from tests.e2e.conftest import Start
from tests.support.jobs import JobCaller
from tests.support.local_server import ROOT
from tests.support.programs import running_node
from tests.support.upstash_server import UpstashServer

NODE = ROOT / "tests" / "e2e" / "node"
POLLING = (ROOT / "docs" / "polling.md").read_text()
TIMEOUT_S = 30
ROUTE = "/api/jobs/{job_id}"
# Node's timers may be a little early.
EARLY_MS = 5
# Longer than any interval that a client would begin with.
QUIET_S = 1.2

NEEDS_NODE = pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
NEEDS_MODULES = pytest.mark.skipif(
    not (NODE / "node_modules").is_dir(), reason="run: npm ci --prefix tests/e2e/node"
)


@NEEDS_NODE
@NEEDS_MODULES
async def test_pages_ask_when_the_server_says_and_never_again_after_the_end(start: Start) -> None:
    """Waiting is 304s; each 200 is news; after the end, focus and network changes ask nothing."""
    server = start(job_workers=0)
    async with JobCaller(server) as alice:
        job_id = await alice.start("checksums", items=[{"name": "a", "size": 100_000}])
        async with page("swr", alice, job_id) as swr, page("tanstack", alice, job_id) as tanstack:
            both = (swr, tanstack)
            for one in both:
                await one.until(lambda one: one.statuses.count(304) >= 2)
            start()  # another process of the deployment, with workers
            for one in both:
                await one.until(lambda one: one.is_done)
            at_the_end = [len(one.answers) for one in both]
            for _ in range(2):
                await asyncio.sleep(QUIET_S)
                for one in both:
                    await one.gets_focus()

    assert [len(one.answers) for one in both] == at_the_end
    assert Counter(server.statuses(ROUTE)) == Counter([*swr.statuses, *tanstack.statuses])
    for one in both:
        assert set(one.statuses) == {200, 304}
        assert one.statuses.count(200) == len(set(one.states))
        assert one.answers[-1]["hint"] == 0
        # SWR chooses its first pause when it has no answer yet.
        for before, after in pairwise(one.answers[1:]):
            assert after["asked"] - before["asked"] > before["hint"] - EARLY_MS


@NEEDS_NODE
@NEEDS_MODULES
async def test_pages_wait_as_long_as_retry_after_says_and_go_on(
    start: Start, upstash: UpstashServer
) -> None:
    """The store is away at first; both pages still show the job."""
    server = start(job_workers=0)
    async with JobCaller(server) as alice:
        job_id = await alice.start("checksums", items=[{"name": "a"}])
        await alice.post(job_id, "cancel")
        upstash.faults(bad_gateway=-1)
        async with page("swr", alice, job_id) as swr, page("tanstack", alice, job_id) as tanstack:
            for one in (swr, tanstack):
                await one.until(lambda one: bool(one.answers))
            upstash.clear_faults()
            for one in (swr, tanstack):
                await one.until(lambda one: one.is_done)

    for one in (swr, tanstack):
        assert one.statuses[0] == 503
        assert one.statuses[-1] == 200
        assert one.answers[0]["retry_after_ms"] >= 1000
        for before, after in pairwise(one.answers):
            assert after["asked"] - before["answered"] > before["retry_after_ms"] - EARLY_MS


def test_the_documentation_shows_the_modules_that_are_tested() -> None:
    """Who copies a snippet has code that works."""
    blocks = re.findall(r"^```js\n(.*?)^```", POLLING, re.MULTILINE | re.DOTALL)
    modules = {file.read_text() for file in (NODE / "polling").glob("*.mjs")}

    assert set(blocks) == modules
    assert len(blocks) == len(modules)


class ShownPage:
    """A page in jsdom: `answers` are those its fetcher got, `states` those it showed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.answers: list[dict[str, Any]] = []
        self.states: list[str] = []
        self.is_done = False

    @property
    def statuses(self) -> list[int]:
        return [answer["status"] for answer in self.answers]

    async def until(self, condition: Callable[[ShownPage], bool]) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            while not condition(self):
                self._take(await self._line())

    async def gets_focus(self) -> None:
        """Also the events of a tab that is shown again, and of a network that is back."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        await self.process.stdin.drain()
        async with asyncio.timeout(TIMEOUT_S):
            while "focused" not in (line := await self._line()):
                self._take(line)

    async def _line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        assert line, "the script ended"
        taken: dict[str, Any] = json.loads(line)
        return taken

    def _take(self, line: dict[str, Any]) -> None:
        if "status" in line:
            self.answers.append(line)
        elif "shown" in line and line["shown"] != "loading":
            self.states.append(line["shown"])
            self.is_done = line["done"]


@asynccontextmanager
async def page(hook: str, caller: JobCaller, job_id: str) -> AsyncIterator[ShownPage]:
    """A page of that caller, which shows the job by the hook of that name."""
    told = {"URL_": str(caller.http.base_url), "TOKEN": caller.token, "JOB": job_id, "HOOK": hook}
    async with running_node("poll.mjs", **told) as process:
        yield ShownPage(process)
