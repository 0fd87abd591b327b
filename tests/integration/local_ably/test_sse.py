"""Event streams of channels."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import httpx
import pytest

from tests.integration.local_ably.conftest import Token
from tests.support.ably_server import AblyServer


async def lines_of(answer: httpx.Response) -> AsyncGenerator[str, None]:
    async for line in answer.aiter_lines():
        yield line


async def events(answer: httpx.Response) -> AsyncGenerator[dict[str, str], None]:
    event: dict[str, str] = {}
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        if name in {"id", "event", "data"}:
            event[name] = value
        elif not line and event:
            yield event
            event = {}


async def read(rest: httpx.AsyncClient, count: int, **query: Any) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    async with asyncio.timeout(10), rest.stream("GET", "/sse", params=query) as answer:
        assert answer.headers["content-type"] == "text/event-stream"
        async with aclosing(events(answer)) as parsed:
            async for event in parsed:
                found.append(event)
                if len(found) == count:
                    break
    return found


async def send(rest: httpx.AsyncClient, *names: str) -> None:
    for name in names:
        await rest.post("/channels/a:1/messages", json={"name": name, "data": f"is {name}"})


async def test_a_stream_is_resumed_by_its_last_id_over_all_its_channels(
    rest: httpx.AsyncClient,
) -> None:
    """One id is a position on all channels of the stream."""
    await send(rest, "a")
    await rest.post("/channels/b:1/messages", json={"name": "other"})
    await send(rest, "b")
    rewound = await read(rest, 3, channels="a:1,b:1", v="1.2", rewind="10")
    following = await read(rest, 2, channels="a:1,b:1", lastEvent=rewound[0]["id"])

    first = json.loads(rewound[0]["data"])
    assert rewound[0]["event"] == "message"
    assert (first["channel"], first["name"], first["data"]) == ("a:1", "a", "is a")
    assert [json.loads(one["data"])["name"] for one in following] == ["other", "b"]


async def test_a_rewind_that_cannot_be_read_is_40003(rest: httpx.AsyncClient) -> None:
    """It is refused before the stream begins."""
    answer = await rest.get("/sse", params={"channels": "a:1", "rewind": "soon"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 40003)


async def test_without_envelope_only_the_data_is_sent(rest: httpx.AsyncClient) -> None:
    await send(rest, "a")

    [event] = await read(rest, 1, channels="a:1", rewind="1", enveloped="false")

    assert event["data"] == "is a"


async def test_what_is_published_later_follows(rest: httpx.AsyncClient) -> None:
    reading = asyncio.create_task(read(rest, 1, channels="a:1"))
    async with asyncio.timeout(10):
        while not (await rest.get("/channels/a:1")).json()["status"]["isActive"]:
            await asyncio.sleep(0.005)

    await send(rest, "live")

    assert json.loads((await reading)[0]["data"])["name"] == "live"


async def test_a_token_that_ends_ends_the_stream_with_its_error(
    ably: AblyServer, rest: httpx.AsyncClient, token: Token
) -> None:
    query = {"channels": "a:1", "accessToken": token()}
    async with (
        httpx.AsyncClient(base_url=ably.url, timeout=10, verify=False) as bare,
        bare.stream("GET", "/event-stream", params=query) as answer,
    ):
        ably.expire_tokens()
        found = [event async for event in events(answer)]

    assert [event["event"] for event in found] == ["error"]
    assert json.loads(found[0]["data"])["code"] == 40142


async def test_a_quiet_stream_is_kept_alive(ably: AblyServer, rest: httpx.AsyncClient) -> None:
    async with rest.stream("GET", "/sse", params={"channels": "a:1"}) as answer:
        ably.set_clock(16_000)
        async with aclosing(lines_of(answer)) as lines:
            async for line in lines:
                if line == ":keepalive":
                    return
    pytest.fail("the stream ended")
