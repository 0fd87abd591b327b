"""Whatever comes in, what goes out is a problem that says what to do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.events import Deadline
from tests.integration.http.conftest import Api, client_of, production
from tests.integration.http.rows import EVENT, JSON, ROWS, SSE, Row, assert_problem
from tests.integration.http.rows_chat import CHAT_ROWS
from tests.integration.http.rows_feeds import FEED_ROWS, NOTIFICATION_ROWS
from tests.integration.http.rows_jobs import JOB_ROWS
from tests.integration.http.rows_relay import RELAY_ROWS
from tests.support.instances import running
from tests.support.upstash_server import UpstashServer

ALL_ROWS = [*ROWS, *CHAT_ROWS, *FEED_ROWS, *NOTIFICATION_ROWS, *JOB_ROWS, *RELAY_ROWS]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("row", ALL_ROWS, ids=lambda row: row.rule)
async def test_bad_requests_are_named_and_remedied(shared_api: Api, row: Row) -> None:
    headers = shared_api.bearer() | row.headers
    body: dict[str, Any] = (
        {"content": row.body} if isinstance(row.body, bytes) else {"json": row.body}
    )

    answer = await shared_api.client.request(row.method, row.path, headers=headers, **body)

    problem = assert_problem(answer, row.status, row.code)
    named = [error["field"] for error in problem.get("errors", ())]
    assert row.field is None or row.field in named


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "HEAD", "BREW"])
async def test_an_unknown_method_is_told_the_known_ones(api: Api, method: str) -> None:
    answer = await api.client.request(method, "/api/events")

    assert answer.status_code == 405
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(answer.headers["allow"].split(", ")) == {"GET", "OPTIONS", "POST"}


async def test_options_name_every_method_of_a_path(api: Api) -> None:
    answer = await api.client.options("/api/events")

    assert (answer.status_code, answer.headers["allow"]) == (204, "GET, OPTIONS, POST")


async def test_a_body_that_grows_beyond_the_limit_is_cut_off(api: Api) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 65_536
            yield b" " * 65_536

    headers = api.bearer() | JSON
    answer = await api.client.post("/api/events/shop:a", content=endless(), headers=headers)

    assert_problem(answer, 413, "payload-too-large")
    assert sent < 2_000_000


@pytest.mark.parametrize("depth", [0, 10, 63])
async def test_nesting_that_is_accepted_is_read_again(api: Api, depth: int) -> None:
    body = b'{"type":"deep","data":' + b"[" * depth + b"1" + b"]" * depth + b"}"

    sent = await api.client.post("/api/events/shop:a", content=body, headers=api.bearer() | JSON)
    read = await api.client.get("/api/events/shop:a/history", headers=api.bearer())

    assert sent.status_code == 201
    assert len(read.json()["events"]) == 1


@pytest.mark.parametrize(
    ("data", "stored"),
    [
        (b'{"a":1,"a":2}', {"a": 2}),
        (b"123456789012345678901234567890", 123456789012345678901234567890),
        (rb'"\u0000\n"', "\x00\n"),
        (rb'"\ud83d\ude00"', "😀"),
    ],
    ids=["a repeated key counts last", "a huge int", "NUL in data", "a surrogate pair"],
)
async def test_odd_but_valid_json_is_stored(api: Api, data: bytes, stored: object) -> None:
    body = b'{"type":"odd","data":%s}' % data

    sent = await api.client.post("/api/events/shop:a", content=body, headers=api.bearer() | JSON)
    read = await api.client.get("/api/events/shop:a/history", headers=api.bearer())

    assert sent.status_code == 201
    assert read.json()["events"][0]["data"] == stored


async def test_a_key_is_for_one_body(api: Api) -> None:
    headers = api.bearer() | {"Idempotency-Key": "order-42"}
    await api.client.post("/api/events/shop:a", json=EVENT, headers=headers)

    answer = await api.client.post("/api/events/shop:a", json={"type": "other"}, headers=headers)

    assert_problem(answer, 422, "idempotency-key-reused")


async def test_a_failure_of_ours_tells_nothing_but_its_ref(upstash: UpstashServer) -> None:
    def broken(_: object) -> Deadline:
        raise RuntimeError("secret detail")

    async with running(production(upstash), broken) as instance, client_of(instance) as client:
        headers = Api(client, instance).bearer() | SSE
        answer = await client.get("/api/events?topic=shop:a", headers=headers)

    problem = assert_problem(answer, 500, "internal-error")
    assert "secret detail" not in answer.text
    assert problem["ref"] == answer.headers["x-request-id"]
