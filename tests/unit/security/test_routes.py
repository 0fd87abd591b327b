"""Signing in for development."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from litestar import Litestar, Request, Response

from api.problem_json import render
from api.problems import ApiError
from api.security.routes import dev_session_controller
from api.security.wiring import Security, build_security
from api.settings import Environment, Settings
from api.system import System
from api.telemetry.meter import CommandMeter
from api.upstash import UpstashClient
from tests.unit.security.support import NOW, SECRET, FakeClock, counting_ids

URL = "/api/dev/session"


def settings(env: Environment) -> Settings:
    return Settings(
        env=env,
        secret=SECRET,
        UPSTASH_REDIS_REST_URL="http://127.0.0.1:1",
        UPSTASH_REDIS_REST_TOKEN="t",
    )


def security(env: Environment = Environment.LOCAL) -> Security:
    redis = UpstashClient("http://127.0.0.1:1", "t", timeout_s=1, meter=CommandMeter())
    clock = FakeClock()
    return build_security(
        settings(env), redis, System(clock, clock, random.Random(1), counting_ids())
    )


def _problem(_: Request[Any, Any, Any], error: ApiError) -> Response[dict[str, Any]]:
    return Response(render(error), status_code=error.status)


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    controller = dev_session_controller(security(), settings(Environment.LOCAL))
    app = Litestar([controller], exception_handlers={ApiError: _problem}, openapi_config=None)
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # Litestar types its scopes
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        yield client


async def test_signing_in_gives_a_token_and_the_cookie(client: httpx.AsyncClient):
    """Both are the same session."""
    answer = await client.post(URL, json={"user": "alice", "roles": ["admin"]})

    token = answer.json()["token"]
    who = security().sessions.verify(token)
    assert answer.status_code == 201
    assert (who.id, who.is_admin, who.expires_at) == ("alice", True, NOW + 3600)
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith(f"millrace_session={token.lower()};")
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "path=/" in cookie
    assert "secure" not in cookie


async def test_grants_and_a_short_life_can_be_asked_for(client: httpx.AsyncClient):
    """For tests of what happens then."""
    wanted = {"user": "bob", "ttl_s": 1.5, "grants": {"read": ["job:*"], "publish": ["room:**"]}}

    who = security().sessions.verify((await client.post(URL, json=wanted)).json()["token"])

    assert who.expires_at == NOW + 1.5
    assert [str(p) for p in (*who.read, *who.publish)] == ["job:*", "room:**"]
    assert not who.roles


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"user": ""},
        {"user": "a\n"},
        {"user": "alice", "ttl_s": 0},
        {"user": "alice", "ttl_s": 1e9},
        {"user": "alice", "grants": {"read": ["job*"]}},
        {"user": "alice", "grants": {"admin": ["**"]}},
        {"user": "alice", "role": ["admin"]},
    ],
)
async def test_a_wrong_wish_is_refused(client: httpx.AsyncClient, body: dict[str, object]):
    """Whatever would not verify, and members nobody knows."""
    assert (await client.post(URL, json=body)).status_code == 400


@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_foreign_pages_cannot_sign_a_developer_in(client: httpx.AsyncClient, method: str):
    """Any page can send a form to localhost."""
    answer = await client.request(
        method, URL, json={"user": "mallory"}, headers={"Origin": "https://evil.example"}
    )

    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


async def test_our_own_page_signs_in(client: httpx.AsyncClient):
    """The demo page is served from the same origin."""
    headers = {"Origin": "http://127.0.0.1:8000"}

    assert (await client.post(URL, json={"user": "alice"}, headers=headers)).status_code == 201


async def test_signing_out_removes_the_cookie(client: httpx.AsyncClient):
    """At once, by an expired cookie of the same name and path."""
    answer = await client.delete(URL)

    cookie = answer.headers["set-cookie"].lower()
    assert answer.status_code == 204
    assert "max-age=0" in cookie
    assert "path=/" in cookie


def test_it_cannot_be_built_outside_local_mode():
    """A mistake in the wiring stops the start instead of opening the door."""
    with pytest.raises(RuntimeError, match="local mode only"):
        dev_session_controller(security(Environment.PRODUCTION), settings(Environment.PRODUCTION))
