"""Whatever a client writes, no parser of it fails: nothing is answered with a 5xx."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from pydantic import SecretStr

from api.events import CloseReason, Deadline
from tests.integration.http.conftest import SECRET
from tests.integration.http.hostile import BODIES, HEADERS, TEXTS, TOKENS, Asked, requests
from tests.support.ably_server import AblyServer
from tests.support.instances import Instance, settings_for
from tests.support.upstash_server import UpstashServer

TIMEOUT_S = 20


def at_once(_: object) -> Deadline:
    """Answers end when they begin, so that none is held."""
    return Deadline(0, CloseReason.DEADLINE, one_batch=True, hold_s=0)


class Target:
    """An instance, and the status of each answer; the server's own loop is beneath."""

    def __init__(self, runner: asyncio.Runner, instance: Instance) -> None:
        self.instance = instance
        self.authorization = f"Bearer {instance.token('alice')}".encode()
        self._runner = runner

    @property
    def routes(self) -> list[tuple[str, str]]:
        found = {
            (method, route.path_format)
            for route in self.instance.app.routes
            for method in getattr(route, "methods", ())
        }
        return sorted(found)

    def status(self, asked: Asked) -> int:
        return self._runner.run(asyncio.wait_for(self._ask(asked), TIMEOUT_S))

    async def _ask(self, asked: Asked) -> int:
        seen: list[int] = []
        bodies = iter([{"type": "http.request", "body": asked.body, "more_body": False}])

        async def receive() -> Any:
            return next(bodies, None) or {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                seen.append(message["status"])

        app: Any = self.instance.app
        await app(_scope(asked), receive, send)
        # A client that is gone before its answer begins gets none.
        return seen[0] if seen else 0


def _scope(asked: Asked) -> dict[str, Any]:
    # Local mode answers to loopback names only, before it reads anything else.
    has_host = any(name.lower() == b"host" for name, _ in asked.headers)
    host = [] if has_host else [(b"host", b"localhost")]
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": asked.method,
        # As uvicorn decodes it.
        "path": unquote(asked.path.decode("latin-1")),
        "raw_path": asked.path,
        "root_path": "",
        "scheme": "http",
        "query_string": asked.query,
        "headers": [*host, *asked.headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "extensions": {},
        "state": {},
    }


@pytest.fixture
def target(upstash: UpstashServer, ably: AblyServer) -> Iterator[Target]:
    changes: dict[str, Any] = {
        "secret": SecretStr(SECRET),
        "ABLY_API_KEY": SecretStr(ably.key),
        "ably_url": ably.url,
        "trusted_proxies": 2,
        "allowed_origins": ("https://app.example.com",),
        "publish_burst": 1_000_000,
        "chat_webhook_secret": SecretStr("a-webhook-secret-of-tests"),
    }
    with asyncio.Runner() as runner:
        instance = Instance(settings_for(upstash, **changes), at_once)
        runner.run(instance.start())
        try:
            yield Target(runner, instance)
        finally:
            runner.run(instance.stop())


def fuzz(target: Target, examples: int) -> None:
    good = {"authorization": target.authorization}

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        # A failure writes a traceback, so finding the smallest one would take minutes.
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(requests(target.routes, good))
    def no_answer_is_a_failure(asked: Asked) -> None:
        assert target.status(asked) < 500, asked

    no_answer_is_a_failure()


def test_no_request_makes_a_route_fail(target: Target) -> None:
    """Of every route, with whatever path, query, headers and body."""
    fuzz(target, examples=400)


@pytest.mark.soak
def test_no_request_makes_a_route_fail_in_the_long_run(target: Target) -> None:
    """The same, with many more requests."""
    fuzz(target, examples=30_000)


def asked(path: bytes = b"/api/events", method: str = "GET", **given: Any) -> Asked:
    usual: dict[str, Any] = {"query": b"topic=shop:a", "headers": (), "body": b""}
    return Asked(method, path, **(usual | given))


def test_no_token_makes_its_parser_fail(target: Target) -> None:
    """As bearer, as cookie, as ticket; none of them is good, and none is our failure."""
    for token in TOKENS:
        for name, written in ((b"authorization", b"Bearer "), (b"cookie", b"millrace_session=")):
            status = target.status(asked(headers=[(name, written + token)]))
            assert status == 401, (name, token[:80])
        ticket = asked(query=b"topic=shop:a&ticket=" + quote(token).encode())
        assert target.status(ticket) == 401, token[:80]


def test_no_header_makes_its_parser_fail(target: Target) -> None:
    """Each header with each text, on a route that reads it."""
    good = (b"authorization", target.authorization)
    rng = random.Random(1)
    for name in HEADERS:
        for text in TEXTS:
            if set(text) & {0, 10, 13}:
                continue
            method, path = rng.choice(
                [("GET", b"/api/events"), ("POST", b"/api/events/shop:a"), ("GET", b"/api/jobs")]
            )
            body = b'{"type":"t","data":1}'
            sent = [good, (name, text), (b"content-type", b"application/json")]
            status = target.status(asked(path, method, headers=sent, body=body))
            assert status < 500, (method, path, name, text[:80])


@pytest.mark.parametrize("signed", [True, False])
def test_no_delivery_makes_the_webhook_fail(target: Target, ably: AblyServer, signed: bool) -> None:
    """Genuine or not: it may have been written by a member of a room."""
    secret = b"a-webhook-secret-of-tests" if signed else b"\xff"
    headers = [(b"content-type", b"application/json"), (b"x-webhook-secret", secret)]
    for body in BODIES:
        status = target.status(asked(b"/api/chat/webhook", "POST", headers=headers, body=body))
        assert status < 500, body[:80]
