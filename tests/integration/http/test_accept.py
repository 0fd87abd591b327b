"""Paths that only stream, and callers that take no stream."""

from __future__ import annotations

import asyncio

import pytest
from litestar.routes import HTTPRoute

from api.events import EventStream
from tests.integration.http.conftest import Api
from tests.integration.http.rows import assert_problem

JOB = {"type": "checksums", "input": {"items": [{"name": "a"}]}}
# By the path that answers JSON.
STREAMS = {
    "/api/notifications": "/stream",
    "/api/activity/user:alice": "/stream",
    "/api/jobs/{id}": "/events",
}


@pytest.mark.parametrize(("path", "suffix"), STREAMS.items())
@pytest.mark.parametrize("accepted", ["application/json", "image/png"])
async def test_a_stream_is_not_sent_to_who_takes_none(
    local_api: Api, path: str, suffix: str, accepted: str
) -> None:
    """It is refused, and the path is named that answers JSON."""
    headers = local_api.bearer()
    if "{id}" in path:
        job = await local_api.client.post("/api/jobs", json=JOB, headers=headers)
        path = path.format(id=job.json()["id"])
    accept = {"Accept": accepted}
    async with asyncio.timeout(10):  # a stream would not end
        refused = await local_api.client.get(f"{path}{suffix}", headers=headers | accept)
    polled = await local_api.client.get(path, headers=headers | {"Accept": "application/json"})

    problem = assert_problem(refused, 406, "not-acceptable")
    assert f"GET {path} " in problem["detail"]
    assert polled.status_code == 200


async def test_every_path_that_only_streams_is_tested_above(local_api: Api) -> None:
    """A new one has to say where its JSON is."""
    streaming = [
        handler
        for route in local_api.instance.app.routes
        for handler in (route.route_handlers if isinstance(route, HTTPRoute) else ())
        if handler.parsed_fn_signature.return_type.has_inner_subclass_of(EventStream)
        or handler.parsed_fn_signature.return_type.is_subclass_of(EventStream)
    ]

    assert len(streaming) == len(STREAMS)
