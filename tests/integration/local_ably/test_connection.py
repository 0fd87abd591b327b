"""A Realtime connection, frame by frame: how it begins, resumes, is renewed and ends."""

from __future__ import annotations

import httpx
import pytest

from tests.integration.local_ably.conftest import Dial, Token
from tests.integration.local_ably.frames import (
    ATTACH,
    ATTACHED,
    AUTH,
    CONNECTED,
    DISCONNECT,
    DISCONNECTED,
    ERROR,
    HEARTBEAT,
    MESSAGE,
    NACK,
    ROOM,
    attach,
)
from tests.support.ably_server import AblyServer
from tests.support.ably_tokens import signed_jwt


@pytest.mark.parametrize("path", ["/", "/:80", "/any/thing"])
async def test_a_socket_is_accepted_on_any_path(dial: Dial, path: str) -> None:
    """The path of ably-python depends on how it was given the port."""
    assert (await (await dial(path)).hear(CONNECTED))["connectionId"]


@pytest.mark.parametrize("name", ["access_token", "accessToken"])
async def test_a_token_is_taken_under_both_names(dial: Dial, token: Token, name: str) -> None:
    """ably-js writes one, ably-python the other."""
    connected = await (await dial(**{name: token(clientId="alice")})).hear(CONNECTED)

    assert connected["connectionDetails"]["clientId"] == "alice"


async def test_who_is_refused_is_told_so_over_the_socket(dial: Dial) -> None:
    """SDKs take a failed upgrade for a broken network, and repeat it without end."""
    socket = await dial(access_token="nonsense")

    assert (await socket.hear(ERROR))["error"]["code"] == 40101
    assert await socket.until_closed() == 1000


@pytest.mark.parametrize(
    ("name", "key", "code"),
    [
        ("resume", "nonsense", 80018),
        ("resume", "0123456789!unknown", 80018),
        ("recover", "0123456789!unknown", 80018),
    ],
    ids=str,
)
async def test_a_resume_that_fails_is_a_new_connection_with_the_reason(
    dial: Dial, name: str, key: str, code: int
) -> None:
    connected = await (await dial(**{name: key})).hear(CONNECTED)

    assert (connected["error"]["code"], connected["error"]["statusCode"]) == (code, 400)
    assert connected["connectionId"]


async def test_only_the_same_client_resumes(dial: Dial, token: Token) -> None:
    """A connection key is of no use to another client."""
    connected = await (await dial(access_token=token(clientId="alice"))).hear(CONNECTED)
    key = connected["connectionDetails"]["connectionKey"]

    other = await (await dial(access_token=token(clientId="bob"), resume=key)).hear(CONNECTED)

    assert other["connectionId"] != connected["connectionId"]
    assert other["error"]["code"] == 80008


async def test_a_resume_takes_the_place_of_a_socket_that_is_still_open(dial: Dial) -> None:
    """The client knows best which of its sockets is dead."""
    first = await dial()
    connected = await first.hear(CONNECTED)

    await (await dial(resume=connected["connectionDetails"]["connectionKey"])).hear(CONNECTED)

    assert await first.until_closed() == 1000


async def test_a_client_that_disconnects_its_socket_may_resume_on_another(dial: Dial) -> None:
    """It changes its transport. Only CLOSE ends the connection."""
    first = await dial()
    connected = await first.hear(CONNECTED)
    await first.say(DISCONNECT)
    await first.until_closed()

    key = connected["connectionDetails"]["connectionKey"]
    resumed = await (await dial(resume=key)).hear(CONNECTED)

    assert resumed["connectionId"] == connected["connectionId"]
    assert "error" not in resumed


async def test_heartbeats_are_frames_when_nothing_else_is_said(
    ably: AblyServer, dial: Dial
) -> None:
    """ably-python needs frames to know that the server lives; a ping gets its id back."""
    socket = await dial()
    await socket.hear(CONNECTED)

    assert (await socket.ask(HEARTBEAT, HEARTBEAT, id="ping"))["id"] == "ping"
    ably.set_clock(11_000)
    assert "id" not in await socket.hear(HEARTBEAT)


async def test_a_client_is_asked_for_a_new_token_before_its_own_ends(
    ably: AblyServer, dial: Dial, token: Token
) -> None:
    """CONNECTED answers a good one; the modes follow the new capability."""
    both = '{"room:*":["subscribe","publish"],"club":["subscribe"]}'
    socket = await dial(access_token=token(ttl=60_000, clientId="alice", capability=both))
    await attach(socket)
    await socket.ask(ATTACH, ATTACHED, channel="club")

    ably.set_clock(31_000)
    await socket.hear(AUTH)
    narrower = token(clientId="alice", capability='{"room:*":["subscribe"]}')
    await socket.say(AUTH, auth={"accessToken": narrower})

    lost = await socket.hear(ERROR)
    assert (lost["channel"], lost["error"]["code"]) == ("club", 40160)
    await socket.hear(CONNECTED)
    nack = await socket.ask(MESSAGE, NACK, channel=ROOM, msgSerial=0, messages=[{"name": "x"}])
    assert nack["error"]["code"] == 40160


async def test_a_client_is_who_its_token_says(dial: Dial, token: Token) -> None:
    """A key may take any identity, a token only its own."""
    other = await dial(access_token=token(clientId="alice"), clientId="bob")
    free = await dial(clientId="bob")

    assert (await other.hear(ERROR))["error"]["code"] == 40102
    assert (await free.hear(CONNECTED))["connectionDetails"]["clientId"] == "bob"


async def test_a_new_token_for_another_client_ends_the_connection(dial: Dial, token: Token) -> None:
    socket = await dial(access_token=token(clientId="alice"))

    error = await socket.ask(AUTH, ERROR, auth={"accessToken": token(clientId="bob")})

    assert error["error"]["code"] == 40102
    assert await socket.until_closed() == 1000


async def test_an_expired_token_disconnects_with_40142(
    ably: AblyServer, dial: Dial, token: Token
) -> None:
    """It gets no ERROR, so that the client renews its token and resumes."""
    socket = await dial(access_token=token(ttl=60_000))
    await socket.hear(CONNECTED)

    ably.set_clock(61_000)

    assert (await socket.hear(DISCONNECTED))["error"]["code"] == 40142
    assert await socket.until_closed() == 1000


@pytest.mark.parametrize(
    "target", ["clientId:alice", "revocationKey:staff", "channel:room:*"], ids=str
)
async def test_a_revoked_token_disconnects_with_40141(
    rest: httpx.AsyncClient, ably: AblyServer, dial: Dial, target: str
) -> None:
    """Other clients are not disturbed, and the token is good for nothing more."""
    claims = {"x-ably-clientId": "alice", "x-ably-revocation-key": "staff", "iat": 1}
    revoked = signed_jwt(ably.key, **claims, **{"x-ably-capability": '{"room:*":["*"]}'})
    socket, other = await dial(access_token=revoked), await dial()
    await socket.hear(CONNECTED)
    name = ably.key.partition(":")[0]

    body = {"targets": [target, "nonsense"]}
    answer = (await rest.post(f"/keys/{name}/revokeTokens", json=body)).json()

    assert (answer["successCount"], answer["failureCount"]) == (1, 1)
    assert (await socket.hear(DISCONNECTED))["error"]["code"] == 40141
    again = await dial(access_token=revoked)
    assert (await again.hear(ERROR))["error"]["code"] == 40141
    assert await other.ask(HEARTBEAT, HEARTBEAT, id="x")


async def test_a_margin_lets_the_client_renew_first(
    rest: httpx.AsyncClient, ably: AblyServer, dial: Dial, token: Token
) -> None:
    """It is prompted at once, and cut when it has not renewed."""
    socket = await dial(access_token=token(clientId="alice"))
    await socket.hear(CONNECTED)
    name = ably.key.partition(":")[0]

    body = {"targets": ["clientId:alice"], "allowReauthMargin": True}
    await rest.post(f"/keys/{name}/revokeTokens", json=body)

    await socket.hear(AUTH)
    ably.set_clock(31_000)
    assert (await socket.hear(DISCONNECTED))["error"]["code"] == 40141


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '"x"',
        '{"action":15,"msgSerial":"x"}',
        '{"action":10,"channel":"a","params":[]}',
        '{"action":[]}',
    ],
)
async def test_what_is_no_frame_ends_the_socket_with_a_reason(
    ably: AblyServer, text: str, dial: Dial
) -> None:
    """The server itself does not fail."""
    socket = await dial()
    await socket.hear(CONNECTED)

    await socket._socket.send(text)

    assert (await socket.hear(DISCONNECTED))["error"]["code"] == 40000
    assert await socket.until_closed() == 1000
