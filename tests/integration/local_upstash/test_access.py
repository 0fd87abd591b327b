"""What the read-only token may do, and what nobody may do over REST."""

from __future__ import annotations

import httpx
import pytest

from tests.integration.local_upstash.conftest import Rest
from tests.support.upstash_server import UpstashServer


@pytest.mark.parametrize("path", ["/get/k", "/xinfo/stream/s", "/hgetall/h", "/exists/k"])
async def test_the_readonly_token_reads(rest: Rest, upstash: UpstashServer, path: str) -> None:
    """Commands that the engine flags readonly."""
    await rest.run("XADD", "s", "*", "d", "x")

    response = await rest.http.get(path, headers=upstash.headers(upstash.readonly_token))

    assert response.status_code == 200


@pytest.mark.parametrize(
    "path", ["/set/k/v", "/keys/*", "/scan/0", "/eval/return 1/0", "/flushall", "/publish/ch/x"]
)
async def test_the_readonly_token_does_nothing_else(
    rest: Rest, upstash: UpstashServer, path: str
) -> None:
    """SCAN and KEYS read too much."""
    response = await rest.http.get(path, headers=upstash.headers(upstash.readonly_token))

    name = path.split("/")[1]
    assert response.status_code == 400
    assert response.json() == {
        "error": f"NOPERM this user has no permissions to run the '{name}' command"
    }


@pytest.mark.parametrize("path", ["/subscribe/ch", "/monitor"])
async def test_the_readonly_token_does_not_listen(
    rest: Rest, upstash: UpstashServer, path: str
) -> None:
    """It may neither subscribe nor monitor."""
    response = await rest.http.post(path, headers=upstash.headers(upstash.readonly_token))

    assert response.status_code == 400
    assert response.json()["error"].startswith("NOPERM ")


async def test_the_readonly_token_cannot_hide_a_write_in_a_transaction(
    rest: Rest, upstash: UpstashServer
) -> None:
    """The transaction is discarded whole."""
    response = await rest.http.post(
        "/multi-exec",
        json=[["GET", "k"], ["SET", "k", "v"]],
        headers=upstash.headers(upstash.readonly_token),
    )

    assert "NOPERM" in response.json()["error"]
    assert await rest.result("EXISTS", "k") == 0


@pytest.mark.parametrize("token", ["readonly", "wrong"])
async def test_the_controls_need_the_full_token(upstash: UpstashServer, token: str) -> None:
    """No other token can reset a meter."""
    presented = upstash.readonly_token if token == "readonly" else token
    async with httpx.AsyncClient(base_url=upstash.url) as http:
        response = await http.get("/_local/meter", headers={"Authorization": f"Bearer {presented}"})

    assert response.status_code == 401


@pytest.mark.parametrize(
    "command",
    [
        ["BLPOP", "k", 0],
        ["bzpopmin", "k", 0],
        ["WATCH", "k"],
        ["MULTI"],
        ["EXEC"],
        ["SUBSCRIBE", "ch"],
        ["MONITOR"],
        ["HELLO", 3],
        ["CLIENT", "LIST"],
        ["CONFIG", "SET", "maxmemory", "0"],
        ["SHUTDOWN", "NOSAVE"],
        ["DEBUG", "SLEEP", "1"],
        ["XREAD", "BLOCK", "0", "STREAMS", "s", "$"],
        ["XREADGROUP", "GROUP", "g", "c", "BLOCK", "0", "STREAMS", "s", ">"],
    ],
)
async def test_commands_that_rest_cannot_carry_are_refused(
    rest: Rest, upstash: UpstashServer, command: list[object]
) -> None:
    """They are refused at once and are not billed."""
    answer = await rest.run(*command)

    assert answer["error"].startswith("ERR ")
    assert upstash.meter().billed == 0
    assert await rest.result("PING") == "PONG"


async def test_ping_and_echo_are_available(rest: Rest) -> None:
    """REST has these two commands of connections."""
    assert await rest.result("PING") == "PONG"
    assert await rest.result("ECHO", "x") == "x"
