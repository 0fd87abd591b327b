"""A ticket opens any stream of ours, once, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from tests.integration.http.conftest import Api
from tests.integration.http.rows import assert_problem
from tests.support.asgi_reader import AsgiConnection
from tests.support.client import Stream

STREAMS = [
    ("/api/events", {"topic": "shop:a"}, ["shop:a"]),
    ("/api/notifications/stream", {}, ["user:alice:notifications", "public:notifications"]),
    ("/api/activity/user:alice/stream", {}, ["user:alice:activity"]),
    ("/api/relay/prices", {}, ["relay:prices"]),
    ("/api/clock", {}, ["shop:a"]),
]
JOB = {"type": "checksums", "input": {"items": [{"name": "a"}]}}


def open_by(api: Api, path: str, query: dict[str, str], ticket: str) -> Stream:
    """As an EventSource of another origin does: no header, no cookie."""
    app: Any = api.instance.app
    pairs = [*query.items(), ("ticket", ticket)]
    return Stream(AsgiConnection(app, path, pairs, {"Accept": "text/event-stream"}))


@pytest.mark.parametrize(("path", "query", "topics"), STREAMS, ids=[one[0] for one in STREAMS])
async def test_a_ticket_opens_any_stream(
    api: Api, path: str, query: dict[str, str], topics: list[str]
) -> None:
    """It is made for the topics that the stream shows."""
    stream = open_by(api, path, query, await api.ticket(*topics))
    await stream.until(lambda one: bool(one.frames))

    assert stream.connection.status == 200
    await stream.close()


async def test_a_ticket_opens_the_stream_of_a_job(local_api: Api) -> None:
    """The topic of a job is `job:<id>`."""
    headers = local_api.bearer()
    job = (await local_api.client.post("/api/jobs", json=JOB, headers=headers)).json()["id"]
    stream = open_by(local_api, f"/api/jobs/{job}/events", {}, await local_api.ticket(f"job:{job}"))
    await stream.until(lambda one: bool(one.frames))

    assert stream.connection.status == 200
    await stream.close()


def reading(api: Api) -> list[tuple[str, HTTPRouteHandler]]:
    """Every GET that asks who calls."""
    return [
        (route.path.replace("{", "").replace(":str}", ""), handler)
        for route in api.instance.app.routes
        if isinstance(route, HTTPRoute)
        for handler in route.route_handlers
        if "GET" in handler.http_methods and "principal" in handler.parsed_fn_signature.parameters
    ]


async def test_a_ticket_for_something_else_opens_nothing(api: Api) -> None:
    """Of all that can be read: 403 where tickets are taken, 401 where they are not."""
    statuses = []
    for template, handler in reading(api):
        path = template.replace("feed", "user:alice").replace("source", "prices")
        ticket = await api.ticket("public:other")
        url = f"{path}?ticket={ticket}" + ("&topic=shop:a" if path == "/api/events" else "")
        answer = await api.client.get(url)
        wanted = 403 if handler.opt.get("takes_ticket") else 401

        assert answer.status_code == wanted, (path, answer.text)
        statuses.append(wanted)
    assert statuses.count(403) == len(STREAMS)


async def test_a_ticket_opens_one_stream(api: Api) -> None:
    """Of whichever kind the first one was."""
    ticket = await api.ticket("shop:a", "user:alice:activity")
    stream = open_by(api, "/api/activity/user:alice/stream", {}, ticket)
    await stream.until_connected()
    second = await api.client.get(f"/api/events?topic=shop:a&ticket={ticket}")

    assert_problem(second, 401, "ticket-used")
    await stream.close()
