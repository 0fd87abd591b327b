"""Chat behind Mangum: tokens, signed deliveries byte for byte, and Ably's REST API."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from tests.integration.functions.lambda_ import Function
from tests.support.ably_server import AblyServer
from tests.support.chat import item, message, signed
from tests.support.gateway_events import function_url, http_api, rest_api
from tests.support.instances import settings_for
from tests.support.upstash_server import UpstashServer

Form = Callable[..., dict[str, Any]]
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def function(upstash_server: UpstashServer, ably_server: AblyServer) -> Iterator[Function]:
    settings = settings_for(
        upstash_server, ABLY_API_KEY=SecretStr(ably_server.key), ably_url=ably_server.url
    )
    with Function(settings, window_s=0.2) as one:
        yield one


@pytest.fixture(params=[rest_api, http_api, function_url], ids=lambda form: str(form.__name__))
def bob(
    request: pytest.FixtureRequest, function: Function, upstash: UpstashServer, ably: AblyServer
) -> Bob:
    bob = Bob(function, request.param)
    body = json.dumps({"id": "a", "title": "t"})
    made = bob.call("/rooms", method="POST", body=body, content_type="application/json")
    assert made["statusCode"] == 201
    return bob


class Bob:
    """A user behind one kind of gateway."""

    def __init__(self, function: Function, form: Form) -> None:
        self._function = function
        self._form = form
        sessions = function.module.app.state.services.security.sessions
        self._token = sessions.issue("bob", ttl_s=7200)

    def call(
        self, path: str, query: Any = (), *, method: str = "GET", body: str = "", **headers: str
    ) -> dict[str, Any]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named["authorization"] = f"Bearer {self._token}"
        return self._function.invoke(
            self._form(f"/api/chat{path}", query, named, method=method, body=body)
        )

    def deliver(self, body: bytes, headers: dict[str, str], *, is_base64: bool) -> dict[str, Any]:
        """What a gateway makes of a delivery; some hand on every body as base64."""
        lower = {name.lower(): value for name, value in headers.items()}
        text = base64.b64encode(body).decode() if is_base64 else body.decode()
        event = self._form("/api/chat/webhook", (), lower, method="POST", body=text)
        return self._function.invoke({**event, "isBase64Encoded": is_base64})


def test_a_token_request_passes_every_gateway(bob: Bob) -> None:
    """As text, by GET and by POST with a form; so does a JWT."""
    by_get = bob.call("/token", [("rooms", "a"), ("rnd", "1")])
    by_post = bob.call("/token", method="POST", body="rooms=a&clientId=x", content_type=FORM)
    jwt = bob.call("/token", accept="application/jwt")

    for answer in (by_get, by_post):
        assert (answer["statusCode"], answer["isBase64Encoded"]) == (200, False)
        assert json.loads(answer["body"])["clientId"] == "bob"
    assert jwt["statusCode"] == 200
    token = base64.b64decode(jwt["body"]).decode() if jwt["isBase64Encoded"] else jwt["body"]
    assert token.count(".") == 2
    assert not jwt["isBase64Encoded"], "a REST API without binary types hands on base64 as it is"


def test_a_refusal_keeps_its_exact_type(bob: Bob) -> None:
    """Which ably-js in Node compares letter by letter."""
    answer = bob.call("/token", [("rooms", "elsewhere")])

    headers = answer.get("headers") or {k: v[0] for k, v in answer["multiValueHeaders"].items()}
    assert answer["statusCode"] == 401
    assert headers["content-type"] == "application/json"


@pytest.mark.parametrize("is_base64", [False, True], ids=["text", "base64"])
def test_a_signature_holds_behind_a_gateway(
    bob: Bob, ably_server: AblyServer, is_base64: bool
) -> None:
    """The body is checked byte for byte, however it travels."""
    body = json.dumps({"items": [item(message("c:0", "grüße"))]}, ensure_ascii=False).encode()
    headers = signed(body, ably_server.key)["headers"]

    first = bob.deliver(body, headers, is_base64=is_base64)
    again = bob.deliver(body, headers, is_base64=is_base64)
    forged = bob.deliver(body + b" ", headers, is_base64=is_base64)

    assert json.loads(first["body"]) == {"stored": 1, "repeated": 0, "ignored": 0}
    assert json.loads(again["body"]) == {"stored": 0, "repeated": 1, "ignored": 0}
    assert forged["statusCode"] == 401


def test_messages_go_to_ably_and_back(bob: Bob) -> None:
    """One client of Ably serves all invocations of the environment."""
    body = json.dumps({"data": "hi"})
    for _ in range(2):
        sent = bob.call(
            "/rooms/a/messages", method="POST", body=body, content_type="application/json"
        )
        assert sent["statusCode"] == 201, sent
    past = json.loads(bob.call("/rooms/a/messages")["body"])["messages"]

    assert [one["data"] for one in past] == ["hi", "hi"]
