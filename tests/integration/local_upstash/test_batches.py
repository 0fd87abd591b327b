"""Pipelines and transactions: order, atomicity, and who reports an error."""

from __future__ import annotations

import asyncio

import pytest

from tests.integration.local_upstash.conftest import Rest


@pytest.mark.parametrize("path", ["/pipeline", "/multi-exec"])
async def test_a_command_that_fails_does_not_stop_the_others(rest: Rest, path: str) -> None:
    """Its error stands in its place."""
    answer = await rest.batch(path, ["SET", "k", "text"], ["INCR", "k"], ["GET", "k"])

    assert answer == [
        {"result": "OK"},
        {"error": "ERR value is not an integer or out of range"},
        {"result": "text"},
    ]


async def test_a_pipeline_refuses_commands_one_by_one(rest: Rest) -> None:
    """The allowed commands run."""
    refused, ran = await rest.batch("/pipeline", ["BLPOP", "k", 0], ["PING"])

    assert refused["error"].startswith("ERR Command is not available: 'BLPOP'")
    assert ran == {"result": "PONG"}


@pytest.mark.parametrize("bad", [["BLPOP", "k", 0], ["NOSUCH"], ["GET"], ["XREAD", "BLOCK", 1]])
async def test_a_transaction_is_discarded_whole(rest: Rest, bad: list[object]) -> None:
    """One object instead of an array, status 400, and nothing has run."""
    response = await rest.http.post("/multi-exec", json=[["SET", "k", "v"], bad])

    assert response.status_code == 400
    assert response.json()["error"].startswith("EXECABORT Transaction discarded because of: ")
    assert await rest.result("EXISTS", "k") == 0


async def test_a_transaction_is_atomic(rest: Rest) -> None:
    """No reader sees one key without the other."""

    async def write(value: int) -> None:
        await rest.batch("/multi-exec", ["SET", "a", value], ["SET", "b", value])

    async def read() -> None:
        seen = await rest.result("MGET", "a", "b")
        assert seen[0] == seen[1]

    await asyncio.gather(*(task for n in range(30) for task in (write(n), read())))


async def test_batches_are_base64_encoded_item_by_item(rest: Rest) -> None:
    """OK and errors are not encoded."""
    response = await rest.http.post(
        "/pipeline",
        json=[["SET", "k", "v"], ["GET", "k"], ["INCR", "k"]],
        headers={"Upstash-Encoding": "base64"},
    )

    assert response.json()[:2] == [{"result": "OK"}, {"result": "dg=="}]
    assert response.json()[2]["error"].startswith("ERR ")


async def test_a_pipeline_longer_than_the_buffers_comes_back_whole(rest: Rest) -> None:
    """Thousands of commands with megabytes of replies do not block."""
    await rest.run("SET", "k", "x" * 1000)

    answer = await rest.batch("/pipeline", *[["GET", "k"] for _ in range(5000)])

    assert len(answer) == 5000
    assert {len(item["result"]) for item in answer} == {1000}
