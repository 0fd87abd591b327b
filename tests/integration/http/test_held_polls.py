"""A JSON answer that is held for news counts as a stream of its caller."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from api.events import TopicName
from tests.integration.http.conftest import Api, client_of, production
from tests.integration.http.rows import EVENT, assert_problem
from tests.support.instances import running
from tests.support.upstash_server import UpstashServer

AS_JSON = {"Accept": "application/json"}
JOB = {"type": "checksums", "input": {"items": [{"name": "a"}]}}
HELD = "/api/events?topic=shop:a&wait=20"


@pytest.fixture
async def one(upstash: UpstashServer) -> AsyncIterator[Api]:
    """An application where a user may hold one stream."""
    settings = production(upstash, max_streams_per_user=1, example_jobs=True, job_workers=0)
    async with running(settings) as instance, client_of(instance) as client:
        yield Api(client, instance)


async def hold(api: Api, url: str, **headers: str) -> asyncio.Task[httpx.Response]:
    """A poll that waits for news, and holds its lease already."""
    wanted = api.bearer() | AS_JSON | headers
    task = asyncio.create_task(api.client.get(url, headers=wanted))
    async with asyncio.timeout(5):
        while not api.instance.services.security.connections.held:
            await asyncio.sleep(0.005)
    return task


async def let_go(task: asyncio.Task[httpx.Response]) -> None:
    task.cancel()
    await asyncio.wait([task])


async def queued(api: Api) -> str:
    answer = await api.client.post("/api/jobs", json=JOB, headers=api.bearer())
    return str(answer.raise_for_status().json()["id"])


async def test_a_held_poll_over_the_limit_is_429(one: Api) -> None:
    """It says when to come back; a poll that is not held is answered."""
    held = await hold(one, HELD)
    refused = await one.client.get(HELD, headers=one.bearer() | AS_JSON)
    at_once = await one.client.get("/api/events?topic=shop:a", headers=one.bearer() | AS_JSON)
    await let_go(held)

    assert_problem(refused, 429, "over-connection-limit")
    assert int(refused.headers["retry-after"]) > 0
    assert at_once.status_code == 200


async def test_a_held_poll_gives_its_place_back_when_it_is_answered(one: Api) -> None:
    """Else the next poll would be refused."""
    held = await hold(one, HELD)
    # The lease is taken first: an event before "now" is found would not be news for this poll.
    async with asyncio.timeout(5):
        while one.instance.services.streaming.hub.position(TopicName("shop:a")) is None:
            await asyncio.sleep(0.005)
    await one.client.post("/api/events/shop:a", json=EVENT, headers=one.bearer())

    assert len((await held).json()["events"]) == 1
    assert one.instance.services.security.connections.held == 0


async def test_a_held_poll_of_a_job_counts_too(one: Api) -> None:
    """By the parameter and by the preference; at once it is read without a place."""
    job = f"/api/jobs/{await queued(one)}"
    held = await hold(one, f"{job}?wait=20&after=1")
    by_query = await one.client.get(f"{job}?wait=20&after=1", headers=one.bearer())
    preferring = one.bearer() | {"Prefer": "wait=20", "If-None-Match": 'W/"1"'}
    by_header = await one.client.get(job, headers=preferring)
    at_once = await one.client.get(job, headers=one.bearer())
    await let_go(held)

    assert_problem(by_query, 429, "over-connection-limit")
    assert_problem(by_header, 429, "over-connection-limit")
    assert at_once.status_code == 200


async def test_a_job_is_created_also_where_its_answer_cannot_be_held(one: Api) -> None:
    """A preference may go unheeded, and a job that exists must be told of."""
    held = await hold(one, HELD)
    async with asyncio.timeout(5):
        answer = await one.client.post(
            "/api/jobs",
            json=JOB,
            headers=one.bearer() | {"Prefer": "wait=20"},
        )
    await let_go(held)

    assert answer.status_code == 202
    assert "preference-applied" not in answer.headers


@pytest.mark.parametrize("of_job", [False, True])
async def test_who_leaves_a_held_poll_gives_its_place_back_at_once(one: Api, of_job: bool) -> None:
    """A page that is loaded again asks while the poll of the page before would still wait."""
    url = f"/api/jobs/{await queued(one)}?wait=20&after=1" if of_job else HELD
    connections = one.instance.services.security.connections
    has_left = asyncio.Event()
    steps = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> Any:
        if step := next(steps, None):
            return step
        await has_left.wait()
        return {"type": "http.disconnect"}

    async def send(_: Any) -> None:
        pass

    asking = asyncio.create_task(one.instance.app(scope_of(url, one.bearer()), receive, send))
    async with asyncio.timeout(5):
        while not connections.held:
            await asyncio.sleep(0.005)
        has_left.set()
        await asking

    assert connections.held == 0


def scope_of(url: str, headers: dict[str, str]) -> Any:
    """The ASGI scope of a GET that asks for JSON."""
    path, _, query = url.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [
            (name.lower().encode(), value.encode()) for name, value in (headers | AS_JSON).items()
        ],
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 443),
        "state": {},
    }
