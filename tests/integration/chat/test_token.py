"""The endpoint that `authUrl` of Ably's SDKs points at."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from api.chat.ably.key import AblyKey
from tests.integration.chat.conftest import People
from tests.support.chat import KEY, Person, chat_settings, client_of
from tests.support.instances import Instance, running
from tests.support.upstash_server import UpstashServer

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PAGE = "https://app.example"


@pytest.fixture
async def lobby(alice: Person, bob: Person) -> Person:
    """Bob, a member of the lobby and a reader of the news."""
    await alice.creates("lobby", is_public=True)
    await alice.creates("news", is_public=True, joins_as="reader")
    await bob.joins("lobby")
    await bob.joins("news")
    return bob


@pytest.fixture
async def with_cors(upstash: UpstashServer) -> AsyncIterator[Instance]:
    async with running(chat_settings(upstash, allowed_origins=(PAGE,))) as instance:
        yield instance


def rooms_of(answer: httpx.Response) -> set[str]:
    return {name for name in json.loads(answer.json()["capability"]) if "::" not in name}


def claims_of(token: str) -> Any:
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def assert_refused(answer: httpx.Response, status: int, code: int) -> None:
    # ably-js in Node compares the whole type.
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    error = answer.json()["error"]
    assert (answer.status_code, error["statusCode"], error["code"]) == (status, status, code)
    assert error["message"]


async def test_a_member_gets_a_token_request_for_its_rooms(lobby: Person) -> None:
    """Signed for the session's user, good for an hour, never cached."""
    answer = await lobby.call("GET", "/token")

    given = answer.json()
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert (given["keyName"], given["clientId"], given["ttl"]) == ("app.key", "bob", 3_600_000)
    assert json.loads(given["capability"])["room:news"] == ["history", "subscribe"]
    assert rooms_of(answer) == {"room:lobby", "room:news"}
    assert abs(given["timestamp"] / 1000 - time.time()) < 5
    names = ("keyName", "ttl", "capability", "clientId", "timestamp", "nonce")
    text = "".join(f"{given[name]}\n" for name in names)
    assert given["mac"] == AblyKey.parse(KEY).sign(text.encode())


async def test_a_token_costs_one_command(lobby: Person, upstash: UpstashServer) -> None:
    """However many rooms the user is in."""
    upstash.reset_meter()

    await lobby.call("GET", "/token")

    assert upstash.meter().commands == {"HGETALL": 1}


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_sdks_send_is_never_trusted(lobby: Person, method: str) -> None:
    """They send all that a token may hold; the client, the capability and the time are ours."""
    sent = {
        "clientId": "alice",
        "capability": '{"*":["*"]}',
        "timestamp": "1",
        "nonce": "n" * 16,
        "rnd": "42",
        "format": "json",
    }
    how: dict[str, Any] = {"params": sent} if method == "GET" else {"data": sent}

    answer = await lobby.call(method, "/token", **how)

    given = answer.json()
    assert answer.status_code == 200
    assert (given["clientId"], rooms_of(answer)) == ("bob", {"room:lobby", "room:news"})
    assert given["nonce"] != sent["nonce"]
    assert given["timestamp"] > 1_000_000_000_000


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_client_may_ask_for_less(lobby: Person, method: str) -> None:
    """Fewer rooms and a shorter life, in the query or in a form."""
    sent = {"rooms": "news,elsewhere", "ttl": "60000"}
    how: dict[str, Any] = {"params": sent} if method == "GET" else {"data": sent}

    answer = await lobby.call(method, "/token", **how)

    assert rooms_of(answer) == {"room:news"}
    assert answer.json()["ttl"] == 60_000


@pytest.mark.parametrize("ttl", ["86400000", "0", "-1", "soon", "", "9" * 30, "1.5", "٣"])
async def test_a_client_never_gets_more_life(lobby: Person, ttl: str) -> None:
    """What is not a shorter life is not heard."""
    answer = await lobby.call("GET", "/token", params={"ttl": ttl})

    assert answer.json()["ttl"] == 3_600_000


async def test_a_token_ends_with_the_session(instance: Instance, lobby: Person) -> None:
    """Who may no longer ask must not go on listening."""
    token = instance.services.security.sessions.issue("bob", ttl_s=100)

    answer = await lobby.call("GET", "/token", headers={"Authorization": f"Bearer {token}"})

    assert 98_000 < answer.json()["ttl"] <= 100_000


@pytest.mark.parametrize(
    "how",
    [
        {"headers": {"Accept": "application/jwt"}},
        {"params": {"format": "jwt"}},
        {"method": "POST", "content": "format=jwt", "headers": FORM},
    ],
    ids=["Accept", "query", "form"],
)
async def test_a_jwt_comes_on_request(lobby: Person, how: dict[str, Any]) -> None:
    """Bare, and of the type that the SDKs take it for."""
    answer = await lobby.call(how.pop("method", "GET"), "/token", **how)

    claims = claims_of(answer.text)
    assert answer.headers["content-type"] == "application/jwt"
    assert claims["x-ably-clientId"] == "bob"
    assert claims["exp"] - claims["iat"] == 3600
    assert "room:lobby" in json.loads(claims["x-ably-capability"])


@pytest.mark.parametrize("accept", ["application/json, text/plain", "*/*", "", "text/plain"])
async def test_other_answers_are_json(lobby: Person, accept: str) -> None:
    """ably-js accepts JSON and text, in one breath."""
    answer = await lobby.call("GET", "/token", headers={"Accept": accept})

    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer x"}, {"Authorization": "Basic"}])
async def test_who_is_not_signed_in_gets_401(
    instance: Instance, method: str, headers: dict[str, str]
) -> None:
    """Which lets an SDK try again, with a new session."""
    answer = await client_of(instance).request(method, "/api/chat/token", headers=headers)

    assert_refused(answer, 401, 40100)
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_who_is_in_no_room_gets_no_token(bob: Person) -> None:
    """An empty capability would be refused by Ably; the SDK asks again, and may then succeed."""
    assert_refused(await bob.call("GET", "/token"), 401, 40160)


async def test_only_a_ban_is_final(alice: Person, lobby: Person, admin: Person) -> None:
    """A ban from one of two rooms takes that room; where nothing is left, the connection ends."""
    await alice.bans("news", lobby)
    one_left = await lobby.call("GET", "/token")
    that_one = await lobby.call("GET", "/token?rooms=news")
    await alice.bans("lobby", lobby)
    none_left = await lobby.call("GET", "/token")
    await alice.call("DELETE", "/rooms/lobby/bans/bob")
    await lobby.joins("lobby")
    await admin.call("POST", "/bans", json={"user": "bob"})
    everywhere = await lobby.call("GET", "/token")

    assert rooms_of(one_left) == {"room:lobby"}
    for answer in (that_one, none_left, everywhere):
        assert_refused(answer, 403, 40300)


async def test_a_write_of_a_foreign_page_is_not_final(instance: Instance, lobby: Person) -> None:
    """403 would end the connection of a page that was deployed before its origin was listed."""
    headers = {"Cookie": f"millrace_session={lobby.token}", "Origin": "https://evil.example"}

    answer = await client_of(instance).post("/api/chat/token", headers=headers)

    assert_refused(answer, 401, 40100)


async def test_too_many_requests_are_slowed_down(upstash: UpstashServer) -> None:
    """A client in a loop must not use up Ably's own limit for all."""
    settings = chat_settings(upstash, chat_tokens_burst=2, chat_tokens_per_s=0.01)
    async with running(settings) as instance:
        bob = Person(instance, "bob")
        await bob.creates("a")
        answers = [await bob.call("GET", "/token") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert_refused(answers[-1], 429, 42910)
    assert int(answers[-1].headers["retry-after"]) > 0


async def test_many_rooms_are_asked_for_by_name(alice: Person) -> None:
    """A JWT that no server takes is not handed out; the error says what to do."""
    for number in range(30):
        await alice.creates(f"room-{number}")

    as_request = await alice.call("GET", "/token")
    as_jwt = await alice.call("GET", "/token?format=jwt")
    narrowed = await alice.call("GET", "/token?format=jwt&rooms=room-1,room-2")

    assert len(rooms_of(as_request)) == 30
    assert_refused(as_jwt, 400, 40000)
    assert "?rooms=" in as_jwt.json()["error"]["message"]
    assert narrowed.status_code == 200


async def test_without_a_key_there_is_no_token(upstash: UpstashServer) -> None:
    """Rooms work all the same."""
    async with running(chat_settings(upstash, ABLY_API_KEY=None)) as instance:
        bob = Person(instance, "bob")
        made = await bob.creates("a")
        refused = await bob.call("GET", "/token")

    assert made.status_code == 201
    assert_refused(refused, 503, 50003)


async def test_an_outage_of_the_store_is_temporary(lobby: Person, upstash: UpstashServer) -> None:
    """503, so that the SDK tries again."""
    upstash.faults(quota=-1)

    assert_refused(await lobby.call("GET", "/token"), 503, 50003)


@pytest.mark.parametrize(
    "how",
    [
        {"content": b"\xff=\xfe", "headers": FORM},
        {"content": b"{", "headers": {"Content-Type": "application/json"}},
        {"content": b"rooms=news", "headers": {"Content-Type": "text/plain"}},
    ],
    ids=["a form of garbage", "JSON", "text"],
)
async def test_a_body_that_is_no_form_is_not_heard(lobby: Person, how: Any) -> None:
    """The parameters of SDKs are wishes; without them there is a token too."""
    answer = await lobby.call("POST", "/token", **how)

    assert rooms_of(answer) == {"room:lobby", "room:news"}


async def test_a_body_above_the_limit_is_refused_in_ablys_shape(lobby: Person) -> None:
    """Like everything that goes wrong here."""
    answer = await lobby.call("POST", "/token", content=b"a=" + b"x" * 1_200_000, headers=FORM)

    assert_refused(answer, 413, 41300)


@pytest.mark.parametrize("credentials", ["bearer", "cookie", "none"])
async def test_a_page_of_an_allowed_origin_may_read_every_answer(
    with_cors: Instance, credentials: str
) -> None:
    """The origin itself and credentials: ably-js asks with them as soon as it sends a token."""
    bob = Person(with_cors, "bob")
    await bob.creates("a")
    headers = {
        "bearer": {"Authorization": f"Bearer {bob.token}"},
        "cookie": {"Cookie": f"millrace_session={bob.token}"},
        "none": {},
    }[credentials]

    answer = await client_of(with_cors).get("/api/chat/token", headers={**headers, "Origin": PAGE})

    assert answer.status_code == (401 if credentials == "none" else 200)
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["access-control-allow-credentials"] == "true"


async def test_the_preflight_of_an_allowed_origin_succeeds(with_cors: Instance) -> None:
    """Of another one it does not."""
    asked = {
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "authorization",
    }
    client = client_of(with_cors)

    good = await client.options("/api/chat/token", headers={**asked, "Origin": PAGE})
    bad = await client.options("/api/chat/token", headers={**asked, "Origin": "https://x.example"})

    assert good.status_code == 204
    assert good.headers["access-control-allow-origin"] == PAGE
    assert "authorization" in good.headers["access-control-allow-headers"].lower()
    assert bad.status_code == 400


async def test_a_namespace_stands_before_every_channel(upstash: UpstashServer) -> None:
    """So that a rule of the Ably application can be for chat alone."""
    async with running(chat_settings(upstash, chat_namespace="chat")) as instance:
        bob = Person(instance, "bob")
        made = await bob.creates("a")
        answer = await bob.call("GET", "/token")

    assert made.json()["channel"] == "chat:room:a"
    assert set(json.loads(answer.json()["capability"])) == {"chat:room:a", "chat:room:a::$chat"}


async def test_names_of_others_never_widen_a_token(person: People, instance: Instance) -> None:
    """No room has a name that means more than itself."""
    bob = person("bob")
    for name in ("*", "a:b", "[meta]", "a*b", "$chat", "a/b", "a\nb", "", "é", "x" * 65):
        body = {"id": name, "title": "t"}
        answer = await bob.call("POST", "/rooms", json=body)
        assert answer.status_code == 422, name
