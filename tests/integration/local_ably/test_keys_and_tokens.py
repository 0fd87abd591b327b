"""Who is let in over REST, and as whom: keys, tokens, capabilities and apps."""

from __future__ import annotations

import base64

import httpx
import pytest

from tests.integration.local_ably.conftest import Dial, Token, bearer
from tests.support.ably_server import AblyServer

MESSAGES = "/channels/room:1/messages"


@pytest.mark.parametrize("body", [{"keys": 1}, {"keys": [1]}, {"channels": [{"presence": [{}]}]}])
async def test_an_app_that_is_described_wrongly_is_40000(
    rest: httpx.AsyncClient, body: object
) -> None:
    assert (await rest.post("/apps", json=body)).json()["error"]["code"] == 40000


async def test_an_unknown_key_is_40400_with_401_over_rest_and_40101_on_realtime(
    rest: httpx.AsyncClient, dial: Dial
) -> None:
    """The SDKs' own tests expect both codes. For an unknown app the status is 404."""
    answer = await rest.get(MESSAGES, auth=("local.none", "x"))
    foreign = await rest.get(MESSAGES, auth=("none.none", "x"))
    wires = [await dial(key="local.none:x"), await dial(key="none.none:x")]

    assert (answer.status_code, answer.json()["error"]["code"]) == (401, 40400)
    assert answer.json()["error"]["statusCode"] == 401
    assert (foreign.status_code, foreign.json()["error"]["code"]) == (404, 40400)
    for socket in wires:
        assert (await socket.hear(9))["error"]["code"] == 40101


@pytest.mark.parametrize("shown", ["nonsense", "Bearer nonsense", "Basic ???", "Bearer !!"])
async def test_a_malformed_credential_is_40101(ably: AblyServer, shown: str) -> None:
    answer = httpx.get(f"{ably.url}{MESSAGES}", headers={"authorization": shown})

    assert (answer.status_code, answer.json()["error"]["code"]) == (401, 40101)


async def test_a_token_is_taken_bare_as_bearer_and_from_the_query(
    ably: AblyServer, token: Token
) -> None:
    """ably-js sends it in base64, others do not."""
    issued = token(capability='{"*":["history"]}')
    encoded = base64.b64encode(issued.encode()).decode()
    for shown in (issued, f"Bearer {issued}", f"Bearer {encoded}"):
        answer = httpx.get(f"{ably.url}{MESSAGES}", headers={"authorization": shown})
        assert answer.status_code == 200, shown
    for name in ("access_token", "accessToken"):
        assert httpx.get(f"{ably.url}{MESSAGES}", params={name: issued}).status_code == 200


async def test_a_capability_bounds_every_operation(ably: AblyServer, token: Token) -> None:
    """Publish, history, presence and status are each refused with 40160."""
    headers = bearer(token(capability='{"other":["*"]}'))
    with httpx.Client(base_url=ably.url, headers=headers) as http:
        answers = [
            http.post(MESSAGES, json={"name": "x"}),
            http.get(MESSAGES),
            http.get("/channels/room:1/presence"),
            http.get("/channels/room:1"),
            http.get("/sse", params={"channels": "room:1"}),
        ]

    for answer in answers:
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, 40160)


async def test_apps_are_made_and_deleted_as_in_the_vendors_sandbox(
    ably: AblyServer, rest: httpx.AsyncClient
) -> None:
    """Their keys are good for them only, and the listed members are present at once."""
    member = {"clientId": "fixed", "data": "x"}
    wanted = {
        "keys": [{}, {"capability": {"a": ["subscribe"]}}],
        "channels": [{"name": "a", "presence": [member]}],
    }
    made = httpx.post(f"{ably.url}/apps", json=wanted).json()
    full, narrow = [tuple(key["keyStr"].split(":", 1)) for key in made["keys"]]

    present = (await rest.get("/channels/a/presence", auth=narrow)).json()
    assert [one["clientId"] for one in present] == ["fixed"]
    history = (await rest.get("/channels/a/presence/history", auth=full)).json()
    assert [(one["action"], one["clientId"], one["data"]) for one in history] == [(2, "fixed", "x")]
    assert (await rest.get("/channels/a/presence")).json() == []
    assert (await rest.post("/channels/a/messages", auth=narrow, json={})).status_code == 401
    assert (await rest.delete(f"/apps/{made['appId']}")).status_code == 401
    assert (await rest.delete("/apps/local")).status_code == 401
    assert (await rest.delete(f"/apps/{made['appId']}", auth=full)).status_code == 204
    assert (await rest.get("/channels/a/messages", auth=full)).status_code == 404


async def test_the_controls_open_to_the_servers_own_key_only(
    ably: AblyServer, token: Token
) -> None:
    answer = httpx.post(f"{ably.url}/_local/reset", params={"access_token": token()})

    assert answer.json()["error"]["code"] == 40160
