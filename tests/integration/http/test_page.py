"""The page at `/`, from a folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.integration.http.conftest import client_of
from tests.support.instances import running, settings_for
from tests.support.upstash_server import UpstashServer

PAGE = "<!doctype html><title>t</title><script>let a = 1</script><style>p{}</style>"
HIDDEN = [
    "/../secret.html",
    "/%2e%2e/secret.html",
    "/..%2fsecret.html",
    "/assets/../../secret.html",
    "/link.html",
    "/.env.html",
    "/.git/a.json",
    "/notes.txt",
    "/assets",
    "/nothing.js",
    "//etc/passwd.html",
    "/a%00.html",
]


@pytest.fixture
async def page(upstash: UpstashServer, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    root = tmp_path / "web"
    (root / "assets").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / "index.html").write_text(PAGE)
    (root / "assets" / "app-1.js").write_text("let b = 2")
    for hidden in (tmp_path / "secret.html", root / ".env.html", root / ".git/a.json"):
        hidden.write_text("secret")
    (root / "notes.txt").write_text("secret")
    (root / "link.html").symlink_to(tmp_path / "secret.html")
    settings = settings_for(upstash, web_root=root)
    async with running(settings) as instance, client_of(instance) as client:
        yield client


async def test_the_page_is_served_under_a_policy(page: httpx.AsyncClient) -> None:
    answer = await page.get("/")

    policy = answer.headers["content-security-policy"]
    assert (answer.status_code, answer.text) == (200, PAGE)
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert policy.count("'sha256-") == 2


async def test_files_beside_the_page_are_served(page: httpx.AsyncClient) -> None:
    answer = await page.get("/assets/app-1.js")

    assert (answer.status_code, answer.text) == (200, "let b = 2")
    assert answer.headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize("path", HIDDEN)
async def test_nothing_else_can_be_reached(page: httpx.AsyncClient, path: str) -> None:
    raw = httpx.URL("https://localhost").copy_with(raw_path=path.encode())

    answer = await page.get(raw)

    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
    assert "secret" not in answer.text


async def test_the_api_stays_where_it_is(page: httpx.AsyncClient) -> None:
    assert (await page.get("/api/health/live")).status_code == 200
    assert (await page.get("/api/nothing")).json()["code"] == "not-found"
