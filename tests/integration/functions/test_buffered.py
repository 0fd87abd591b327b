"""The buffered function as a process, under the runtime interface client of AWS itself."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from tests.integration.functions.conftest import Elsewhere, Start
from tests.support.execution_environment import BUFFERED
from tests.support.gateway import Form, Gateway
from tests.support.gateway_events import function_url, http_api, rest_api
from tests.support.raw_reader import Reader, assert_each_once

A = "public:a"
WINDOW_S = 0.5


@pytest.mark.parametrize("form", [function_url, http_api, rest_api])
async def test_json_cookies_and_problems_pass(form: Form, start: Start) -> None:
    """Through the handler, its marshalling and each kind of gateway."""
    function = await start(BUFFERED)
    async with (
        Gateway([function], form) as gateway,
        httpx.AsyncClient(base_url=gateway.url, verify=False, timeout=30) as client,
    ):
        session = await client.post("/api/dev/session", json={"user": "alice", "roles": ["admin"]})
        client.headers["authorization"] = f"Bearer {session.json()['token']}"
        published = await client.post(f"/api/events/{A}", json={"type": "tick", "data": "é"})
        events = await client.get(f"/api/events/{A}/history")
        problem = await client.get("/api/events", params={"topic": "not a topic"})

    assert "millrace_session" in session.headers["set-cookie"]
    assert published.status_code == 201
    assert [event["data"] for event in events.json()["events"]] == ["é"]
    assert problem.headers["content-type"] == "application/problem+json"
    assert json.loads(problem.content)["code"] == "invalid-topic"


async def test_an_eventsource_reads_window_after_window(start: Start, elsewhere: Elsewhere) -> None:
    """Each is a whole response; the process stands still between two of them."""
    function = await start(BUFFERED, {"window_s": WINDOW_S, "retry_ms": 1000}, freezes=True)
    published: list[str] = []
    async with Gateway([function]) as gateway, Reader(gateway.url, elsewhere.token, [A]) as reader:
        while reader.connected < 3:
            published += await elsewhere.publish(A, "x")
            await asyncio.sleep(0.1)
        await reader.has(len(published))

    assert {bye.reason for bye in reader.byes} == {"deadline"}
    assert_each_once([reader], {A: published})
    assert function.starts == 1
