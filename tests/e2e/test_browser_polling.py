"""SWR and TanStack Query in Chromium, on a page of the server's own origin."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.async_api import Page

from tests.e2e.conftest import Start
from tests.support.browser import NEEDS_CHROMIUM, signed_in
from tests.support.container import Container
from tests.support.jobs import JobCaller
from tests.support.local_server import ROOT

NODE = ROOT / "tests" / "e2e" / "node"
ROUTE = "/api/jobs/{job_id}"
PACKAGES = ("react", "react-dom/client", "swr", "@tanstack/react-query")
QUIET_S = 1.2
# A request is logged after its answer; this is less than any poll would wait.
LOGGED_S = 0.2
TIMEOUT_S = 30
# What the modules of the documentation import is what the bundle has.
FILES = {
    "swr-of-bundle.mjs": "export default modules.swr.default",
    "query-of-bundle.mjs": "export const { useQuery } = modules['@tanstack/react-query']",
    "index.html": """<!doctype html><main></main>
<script src="/bundle.js"></script>
<script type="importmap">{"imports": {
  "swr": "/swr-of-bundle.mjs", "@tanstack/react-query": "/query-of-bundle.mjs"
}}</script>""",
}
SHOW = """async (id) => {
  const { createElement } = modules.react;
  const { QueryClient, QueryClientProvider } = modules["@tanstack/react-query"];
  const jobs = [];
  for (const hook of ["swr", "tanstack"]) {
    const { useJob } = await import(`/${hook}.mjs`);
    const Job = () => createElement("p", null, `${hook} ${useJob(id).data?.status}`);
    jobs.push(createElement(Job, { key: hook }));
  }
  const page = createElement(QueryClientProvider, { client: new QueryClient() }, jobs);
  modules["react-dom/client"].createRoot(document.querySelector("main")).render(page);
}"""

pytestmark = [
    NEEDS_CHROMIUM,
    pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed"),
    pytest.mark.skipif(
        not (NODE / "node_modules").is_dir(), reason="run: npm ci --prefix tests/e2e/node"
    ),
]


async def test_polling_stops_at_the_end_and_the_browser_did_the_304s(
    page: Page, start: Start, web: Path
) -> None:
    """Neither a tab that comes back nor a network that does asks for a job that is done."""
    server = start(job_workers=0, web_root=web)
    async with JobCaller(server) as alice:
        job_id = await alice.start("checksums", items=[{"name": "a", "size": 100_000}])
    await signed_in(page, server)
    await page.goto(server.url)
    await page.evaluate(SHOW, job_id)
    await answers(server, lambda statuses: statuses.count(304) >= 4)
    start()  # another process of the deployment, with workers
    await page.get_by_text("swr succeeded").wait_for()
    await page.get_by_text("tanstack succeeded").wait_for()
    await asyncio.sleep(LOGGED_S)
    at_the_end = server.statuses(ROUTE)
    await asyncio.sleep(QUIET_S)
    await page.context.set_offline(True)
    await page.context.set_offline(False)
    await page.evaluate(
        "for (const type of ['focus', 'visibilitychange']) dispatchEvent(new Event(type)),"
        "document.dispatchEvent(new Event(type))"
    )
    await asyncio.sleep(QUIET_S)

    assert server.statuses(ROUTE) == at_the_end
    assert set(at_the_end) == {200, 304}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with the libraries, and the modules of the documentation."""
    # Not by routes of the browser's: with those it has no cache.
    folder = tmp_path_factory.mktemp("web")
    command = ["node", "bundle.mjs", *PACKAGES]
    bundle = subprocess.run(command, cwd=NODE, capture_output=True, text=True, check=True).stdout
    for name, text in {**FILES, "bundle.js": bundle}.items():
        (folder / name).write_text(text)
    for module in (NODE / "polling").glob("*.mjs"):
        shutil.copy(module, folder)
    return folder


async def answers(server: Container, condition: Callable[[list[int]], bool]) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while not condition(server.statuses(ROUTE)):
            await asyncio.sleep(0.05)
