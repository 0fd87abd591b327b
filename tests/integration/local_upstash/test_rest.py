"""The REST API by hand: forms of a command, HTTP codes, headers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.integration.local_upstash.conftest import Rest
from tests.support.upstash_server import UpstashServer


async def test_body_form_and_path_form_are_the_same_command(rest: Rest) -> None:
    """Upper or lower case, GET, POST or PUT."""
    assert await rest.result("SET", "foo", "bar") == "OK"
    for method in ("GET", "POST", "PUT"):
        response = await rest.http.request(method, "/get/foo")
        assert response.json() == {"result": "bar"}


async def test_a_posted_body_becomes_the_next_argument_and_the_query_follows(rest: Rest) -> None:
    """`/set/foo?EX=100` with a body is `SET foo <body> EX 100`."""
    await rest.http.post("/set/foo?EX=100", content=b'{"a": 1}')

    assert await rest.result("GET", "foo") == '{"a": 1}'
    assert 0 < await rest.result("TTL", "foo") <= 100


async def test_head_answers_without_a_body(rest: Rest) -> None:
    """The command runs all the same."""
    response = await rest.http.head("/set/foo/bar")

    assert (response.status_code, response.content) == (200, b"")
    assert await rest.result("GET", "foo") == "bar"


async def test_number_literals_are_stored_as_written(rest: Rest) -> None:
    """1.0 is not 1, and a big integer is not rounded."""
    for literal in ("1.0", "1e3", "123456789012345678901234567890"):
        await rest.http.post("/", content=f'["SET", "n", {literal}]')
        assert await rest.result("GET", "n") == literal


@pytest.mark.parametrize("method", ["DELETE", "PATCH", "OPTIONS"])
async def test_other_methods_are_not_allowed(rest: Rest, method: str) -> None:
    """Only HEAD, GET, POST and PUT are allowed."""
    assert (await rest.http.request(method, "/get/foo")).status_code == 405


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        ("/", "", "ERR failed to parse command"),
        ("/", "[]", "ERR empty command"),
        ("/", '{"a": 1}', "ERR failed to parse command"),
        ("/pipeline", "", "ERR failed to parse pipeline request"),
        ("/pipeline", "[]", "ERR empty pipeline request"),
        ("/multi-exec", "[]", "ERR empty pipeline request"),
        ("/", '["NOSUCH", "x"]', "ERR unknown command 'NOSUCH'"),
        ("/", '["GET"]', "ERR wrong number of arguments for 'get' command"),
    ],
)
async def test_bad_requests_say_what_is_wrong(rest: Rest, path: str, body: str, text: str) -> None:
    """Status 400 and one error object."""
    response = await rest.http.post(path, content=body)

    assert response.status_code == 400
    assert response.json()["error"].startswith(text)


async def test_every_reply_carries_another_sync_token(rest: Rest) -> None:
    """Errors have it too, and a client may send it back."""
    tokens = set()
    for path in ("/ping", "/get", "/nosuch", "/pipeline"):
        tokens.add((await rest.http.get(path)).headers["Upstash-Sync-Token"])
    echoed = await rest.http.get("/ping", headers={"Upstash-Sync-Token": tokens.pop()})

    assert len(tokens) == 3
    assert echoed.status_code == 200


async def test_binary_values_survive_in_base64_and_resp2(rest: Rest) -> None:
    """Plain JSON shows replacement characters instead."""
    await rest.http.post("/set/bin", content=b"\x00\xff")

    encoded = await rest.http.get("/get/bin", headers={"Upstash-Encoding": "base64"})
    raw = await rest.http.get("/get/bin", headers={"Upstash-Response-Format": "resp2"})

    assert await rest.result("GET", "bin") == "\x00\ufffd"
    assert encoded.json() == {"result": "AP8="}
    assert (raw.content, raw.headers["Content-Type"]) == (
        b"$2\r\n\x00\xff\r\n",
        "application/octet-stream",
    )


async def test_resp2_errors_and_statuses_are_the_engines(rest: Rest) -> None:
    """A failed command is still status 400."""
    headers = {"Upstash-Response-Format": "resp2"}

    status = await rest.http.get("/set/k/v", headers=headers)
    error = await rest.http.get("/incr/k", headers=headers)

    assert status.content == b"+OK\r\n"
    assert (error.status_code, error.content[:5]) == (400, b"-ERR ")


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        ("/ping", {"Upstash-Response-Format": "resp2", "Upstash-Encoding": "base64"}),
        ("/ping", {"Upstash-Response-Format": "xml"}),
        ("/multi-exec", {"Upstash-Response-Format": "resp2"}),
    ],
)
async def test_formats_that_do_not_go_together_are_refused(
    rest: Rest, path: str, headers: dict[str, str]
) -> None:
    """Before anything runs."""
    response = await rest.http.post(path, content='[["SET", "k", "v"]]', headers=headers)

    assert response.status_code == 400
    assert await rest.result("EXISTS", "k") == 0


async def test_xread_with_nothing_new_is_null(rest: Rest) -> None:
    """Not an empty array."""
    await rest.run("XADD", "s", "1-1", "d", "x")

    assert await rest.run("XREAD", "STREAMS", "s", "none", "1-1", "0") == {"result": None}


async def test_xread_plus_reads_the_last_entry_of_each_stream(rest: Rest) -> None:
    """How a reader finds "now" for many streams with one command."""
    for entry in ("1-1", "2-1"):
        await rest.run("XADD", "s", entry, "d", entry)

    read = await rest.result("XREAD", "COUNT", "1", "STREAMS", "s", "none", "+", "+")

    assert read == [["s", [["2-1", ["d", "2-1"]]]]]
    assert await rest.result("XREAD", "STREAMS", "none", "+") is None


async def test_one_command_may_not_exceed_ten_megabytes(rest: Rest) -> None:
    """The text names the limit and the size. A request just below it passes."""
    limit = 10 * 1024 * 1024

    fits = await rest.http.post("/set/k", content=b"x" * (limit - 100))
    exceeds = await rest.http.post("/set/k", content=b"x" * (limit + 1))

    assert fits.json() == {"result": "OK"}
    assert exceeds.status_code == 400
    assert exceeds.json()["error"].startswith(
        f"ERR max request size exceeded. Limit: {limit} bytes, Actual: {limit + 1}"
    )


async def test_an_unannounced_length_is_limited_too(rest: Rest) -> None:
    """A chunked body is measured as it comes."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b"x" * 1024 * 1024

    response = await rest.http.post("/set/k", content=chunks())

    assert response.status_code == 400
    assert "max request size exceeded" in response.json()["error"]


async def test_a_reply_may_not_exceed_the_limit_either(rest: Rest) -> None:
    """The error says that the reply was too large."""
    await rest.http.post("/set/k", content=b"x" * 6 * 1024 * 1024)

    response = await rest.http.post("/pipeline", json=[["GET", "k"], ["GET", "k"]])

    assert response.status_code == 400
    assert "max request size exceeded" in response.json()["error"]


async def test_the_token_may_come_in_the_query(upstash: UpstashServer) -> None:
    """It is not an argument of the command."""
    async with httpx.AsyncClient(base_url=upstash.url) as http:
        accepted = await http.get(f"/set/k/v?_token={upstash.token}&EX=9")
        refused = [await http.get(f"/get/k{query}") for query in ("", "?_token=wrong")]

    assert accepted.json() == {"result": "OK"}
    for response in refused:
        assert response.status_code == 401
        assert response.json() == {"error": "WRONGPASS invalid or missing auth token"}
