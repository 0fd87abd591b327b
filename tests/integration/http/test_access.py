"""Every route asks who calls, but for a short list."""

from __future__ import annotations

import re
from typing import Any

import pytest
from litestar.routes import HTTPRoute

from tests.integration.http.conftest import Api
from tests.support.instances import running, settings_for
from tests.support.upstash_server import UpstashServer

PUBLIC = {
    ("GET", "/api/asyncapi.json"),
    ("GET", "/api/clock"),
    ("GET", "/api/docs"),
    ("GET", "/api/docs/{name:str}"),
    ("GET", "/api/health"),
    ("GET", "/api/health/live"),
    ("GET", "/api/health/ready"),
    ("GET", "/api/openapi.json"),
}
# It is signed, not sent by a caller: the signature is over the body.
UNSIGNED = {"/api/chat/webhook"}
PAGE = {("GET", "/"), ("GET", "/{name:path}")}
# For developers; and metrics, which ask elsewhere.
LOCAL = {
    ("DELETE", "/api/dev/session"),
    ("GET", "/api/metrics"),
    ("POST", "/api/dev/session"),
}


def routes(api: Api) -> set[tuple[str, str]]:
    """Method and path of every handler; OPTIONS tells methods and nothing else."""
    return {
        (method, route.path)
        for route in api.instance.app.routes
        if isinstance(route, HTTPRoute)
        for method in route.methods - {"OPTIONS"}
    }


async def open_routes(api: Api) -> set[tuple[str, str]]:
    """Those that answer a request without credentials by anything but 401."""
    found = set()
    # So that a stream which anybody may open ends at once.
    await api.instance.services.streaming.open_streams.drain(timeout_s=1)
    for method, path in routes(api):
        url = re.sub(r"\{[^}]+\}", "x", path) + "?topic=public:x"
        body: dict[str, Any] = {"json": {}} if method == "POST" else {}
        answer = await api.client.request(method, url, **body)
        if answer.status_code != 401:
            found.add((method, path))
    return found


async def test_production_asks_who_calls_everywhere_else(api: Api) -> None:
    assert await open_routes(api) == PUBLIC


async def test_local_mode_opens_sessions_and_metrics_only(local_api: Api) -> None:
    assert await open_routes(local_api) == PUBLIC | LOCAL


async def test_a_web_root_adds_the_page_only(upstash: UpstashServer, tmp_path: object) -> None:
    settings = settings_for(upstash, web_root=tmp_path)

    async with running(settings) as instance:
        with_page = routes(Api(None, instance))  # type: ignore[arg-type]
    async with running(settings_for(upstash)) as instance:
        without = routes(Api(None, instance))  # type: ignore[arg-type]

    assert with_page - without == PAGE


@pytest.mark.parametrize("method", ["POST", "DELETE", "GET"])
async def test_production_has_no_development_sessions(api: Api, method: str) -> None:
    answer = await api.client.request(method, "/api/dev/session")

    assert answer.status_code == 404
    assert "/api/dev/session" not in {path for _, path in routes(api)}


@pytest.mark.parametrize("query", ["", "?limit=none&topic=*&cursor=!"])
async def test_who_calls_is_asked_before_anything_else_is_read(api: Api, query: str) -> None:
    """Every route that needs a caller says so first, whatever else is wrong."""
    asked = 0
    for method, path in routes(api) - PUBLIC:
        if path in UNSIGNED:
            continue
        url = re.sub(r"\{[^}]+\}", "x", path) + query
        for headers in ({"Content-Type": "application/json"}, {"Content-Type": "text/plain"}, {}):
            answer = await api.client.request(method, url, content=b"{no", headers=headers)
            assert answer.status_code == 401, (method, path, answer.text)
            asked += 1
    assert asked > 50
