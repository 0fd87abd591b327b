"""The Realtime protocol, frame by frame: what the SDKs rely on and do not show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.integration.local_ably.conftest import Dial, Frame, RealtimeSocket
from tests.support.ably_server import AblyServer
from tests.support.ably_tokens import signed_jwt

HEARTBEAT, ACK, NACK, CONNECTED, DISCONNECT, DISCONNECTED = 0, 1, 2, 4, 5, 6
CLOSED, ERROR = 8, 9
CLOSE, ATTACH, ATTACHED, DETACH, DETACHED, PRESENCE, MESSAGE, SYNC = 7, 10, 11, 12, 13, 14, 15, 16
AUTH = 17
HAS_PRESENCE, HAS_BACKLOG, RESUMED, ATTACH_RESUME = 1, 2, 4, 32
MODE_SUBSCRIBE = 1 << 18
ROOM = "room:1"
Token = Callable[..., str]


async def attach(socket: RealtimeSocket, **fields: Any) -> Frame:
    return await socket.ask(ATTACH, ATTACHED, channel=ROOM, **fields)


async def publish(socket: RealtimeSocket, serial: int, *names: str) -> Frame:
    messages = [{"name": name} for name in names]
    return await socket.ask(MESSAGE, ACK, channel=ROOM, msgSerial=serial, messages=messages)


def names(frame: Frame) -> list[str]:
    return [one["name"] for one in frame["messages"]]


@pytest.mark.parametrize("path", ["/", "/:80", "/any/thing"])
async def test_a_socket_is_accepted_on_any_path(dial: Dial, path: str) -> None:
    """ably-python's path depends on how it was told the port."""
    assert (await (await dial(path)).hear(CONNECTED))["connectionId"]


@pytest.mark.parametrize("name", ["access_token", "accessToken"])
async def test_a_token_is_taken_under_both_names(dial: Dial, token: Token, name: str) -> None:
    """ably-js writes one, ably-python the other."""
    connected = await (await dial(**{name: token(clientId="alice")})).hear(CONNECTED)

    assert connected["connectionDetails"]["clientId"] == "alice"


async def test_who_is_refused_is_told_so_over_the_socket(dial: Dial) -> None:
    """A failed upgrade would look like a broken network, and be tried for ever."""
    socket = await dial(access_token="nonsense")

    assert (await socket.hear(ERROR))["error"]["code"] == 40101
    assert await socket.until_closed() == 1000


async def test_attached_carries_the_modes_that_the_capability_allows(
    dial: Dial, token: Token
) -> None:
    """Without the bits, ably-js takes nothing for subscribed; `params` are those understood."""
    socket = await dial(access_token=token(capability='{"room:*":["subscribe"]}'))

    attached = await attach(socket, params={"rewind": "1", "what": "ever"})

    assert attached["flags"] & MODE_SUBSCRIBE
    assert attached["flags"] >> 16 == (MODE_SUBSCRIBE | 1 << 19) >> 16
    assert attached["params"] == {"rewind": "1"}


async def test_attached_confirms_every_param_that_the_service_knows(dial: Dial) -> None:
    """Also `delta`, though messages are sent whole; clients must expect that with it as well."""
    reader, writer = await dial(), await dial()
    params = {"delta": "vcdiff", "modes": "subscribe", "appendMode": "full", "echo": "true"}

    attached = await attach(reader, params={**params, "what": "ever"})
    await writer.ask(MESSAGE, ACK, channel=ROOM, msgSerial=0, messages=[{"data": "whole"}])

    assert attached["params"] == params
    assert attached["flags"] >> 16 == MODE_SUBSCRIBE >> 16
    assert (await reader.hear(MESSAGE))["messages"][0]["data"] == "whole"


async def test_a_mode_that_was_not_asked_for_is_40165(dial: Dial) -> None:
    """The capability would have allowed it."""
    socket = await dial()
    await attach(socket, flags=MODE_SUBSCRIBE)

    nack = await socket.ask(MESSAGE, NACK, channel=ROOM, msgSerial=3, messages=[{"name": "x"}])

    assert (nack["msgSerial"], nack["count"], nack["error"]["code"]) == (3, 1, 40165)


async def test_a_message_is_stamped_and_echoed_to_its_sender(dial: Dial) -> None:
    """Ids count by connection, frame and index; an ACK counts frames, not messages."""
    socket = await dial(clientId="alice")
    connection = (await socket.hear(CONNECTED))["connectionId"]
    await attach(socket)

    await socket.say(
        MESSAGE, channel=ROOM, msgSerial=0, messages=[{"name": "a"}, {"name": "b", "size": 3}]
    )
    heard, ack = await socket.hear(MESSAGE), await socket.hear(ACK)

    assert (heard["id"], heard["connectionId"]) == (f"{connection}:0", connection)
    assert [one["id"] for one in heard["messages"]] == [f"{connection}:0:0", f"{connection}:0:1"]
    assert {one["clientId"] for one in heard["messages"]} == {"alice"}
    assert (ack["msgSerial"], ack["count"]) == (0, 1)
    assert ack["res"] == [{"serials": [one["serial"] for one in heard["messages"]]}]


async def test_without_echo_the_sender_hears_the_others_only(dial: Dial) -> None:
    quiet, other = await dial(echo="false"), await dial()
    await attach(quiet)

    # Said, not asked: the wait for an ACK would pass over an echo.
    await quiet.say(MESSAGE, channel=ROOM, msgSerial=0, messages=[{"name": "own"}])
    assert (await quiet.next())["action"] == ACK
    await publish(other, 0, "other")

    assert names(await quiet.hear(MESSAGE)) == ["other"]


async def test_an_attachment_without_echo_hears_the_others_only(dial: Dial) -> None:
    """By a param of the channel; the other channels of the connection are not touched."""
    quiet, other = await dial(), await dial()
    await attach(quiet, params={"echo": "false"})
    await quiet.ask(ATTACH, ATTACHED, channel="room:2")

    # Said, not asked: the wait for an ACK would pass over an echo.
    await quiet.say(MESSAGE, channel=ROOM, msgSerial=0, messages=[{"name": "own"}])
    await quiet.say(MESSAGE, channel="room:2", msgSerial=1, messages=[{"name": "second"}])

    assert names(await quiet.hear(MESSAGE)) == ["second"]
    await publish(other, 0, "other")
    assert names(await quiet.hear(MESSAGE)) == ["other"]


async def test_publishing_without_attaching_is_legal(dial: Dial) -> None:
    assert (await publish(await dial(), 0, "x"))["msgSerial"] == 0


async def test_what_is_sent_again_after_a_resume_is_acknowledged_and_not_repeated(
    dial: Dial,
) -> None:
    """The ACK may have been lost with the socket; the serials are those of the first time."""
    reader, first = await dial(), await dial()
    await attach(reader)
    connected = await first.hear(CONNECTED)
    ack = await publish(first, 0, "once")
    await first.close()

    again = await dial(resume=connected["connectionDetails"]["connectionKey"])
    resumed = await again.hear(CONNECTED)
    repeated = await publish(again, 0, "once")
    await publish(again, 1, "next")

    assert resumed["connectionId"] == connected["connectionId"]
    assert "error" not in resumed
    assert repeated["res"] == ack["res"]
    assert [names(await reader.hear(MESSAGE)) for _ in range(2)] == [["once"], ["next"]]


async def test_a_channel_serial_brings_what_came_after_it(dial: Dial) -> None:
    """Every message once, and the flag says that nothing is missing."""
    writer, reader = await dial(), await dial()
    serial = (await attach(reader))["channelSerial"]
    await publish(writer, 0, "a")
    after_a = (await reader.hear(MESSAGE))["channelSerial"]
    await publish(writer, 1, "b", "c")
    await publish(writer, 2, "d")

    late = await dial()
    attached = await attach(late, channelSerial=after_a)

    assert attached["flags"] & RESUMED
    assert [names(await late.hear(MESSAGE)) for _ in range(2)] == [["b", "c"], ["d"]]
    again = await attach(late, channelSerial=serial)
    assert again["flags"] & RESUMED
    assert names(await late.hear(MESSAGE)) == ["a"]


async def test_a_serial_of_another_life_is_not_resumed(dial: Dial) -> None:
    """This server cannot know what came after it, and must not say that nothing did."""
    socket = await dial()

    attached = await attach(socket, channelSerial="00000000000001-000@local")

    assert not attached["flags"] & RESUMED


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
    """A key that leaked to another identity is worth nothing."""
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
    """It changes transports: only a close ends the connection."""
    first = await dial()
    connected = await first.hear(CONNECTED)
    await first.say(DISCONNECT)
    await first.until_closed()

    key = connected["connectionDetails"]["connectionKey"]
    resumed = await (await dial(resume=key)).hear(CONNECTED)

    assert resumed["connectionId"] == connected["connectionId"]
    assert "error" not in resumed


async def test_rewind_applies_to_the_first_attach_only(dial: Dial) -> None:
    """Nor to one that the client calls resumed."""
    writer = await dial()
    for serial, name in enumerate("abc"):
        await publish(writer, serial, name)
    params = {"rewind": "2"}

    reader, other = await dial(), await dial()
    first = await attach(reader, params=params)
    backlog = [await reader.hear(MESSAGE) for _ in range(2)]
    second = await attach(reader, params=params, channelSerial=backlog[-1]["channelSerial"])
    third = await attach(other, params=params, flags=ATTACH_RESUME)

    assert first["flags"] & HAS_BACKLOG
    assert [names(frame) for frame in backlog] == [["b"], ["c"]]
    assert second["flags"] & (HAS_BACKLOG | RESUMED) == RESUMED
    assert not third["flags"] & HAS_BACKLOG


async def test_a_cut_within_the_backlog_of_a_rewind_loses_nothing(dial: Dial) -> None:
    """The serial of ATTACHED stands before the first message of it."""
    writer = await dial()
    for serial, name in enumerate("ab"):
        await publish(writer, serial, name)
    attached = await attach(await dial(), params={"rewind": "2m"})

    late = await dial()
    await attach(late, channelSerial=attached["channelSerial"])

    assert [names(await late.hear(MESSAGE)) for _ in range(2)] == [["a"], ["b"]]


async def test_who_is_present_is_synced_in_one_page(dial: Dial) -> None:
    """The flag announces it, and the cursor behind the colon is empty."""
    member, late = await dial(clientId="alice"), await dial()
    await attach(member)
    event = [{"action": 2, "data": "here"}]
    await member.ask(PRESENCE, ACK, channel=ROOM, msgSerial=0, presence=event)

    attached = await attach(late)
    sync = await late.hear(SYNC)

    assert attached["flags"] & HAS_PRESENCE
    assert sync["channelSerial"].endswith(":")
    [shown] = sync["presence"]
    assert (shown["action"], shown["clientId"], shown["data"]) == (1, "alice", "here")


async def test_an_anonymous_client_cannot_be_present(dial: Dial, token: Token) -> None:
    """Which is what a misspelled client id makes of a token."""
    socket = await dial(access_token=token(client_id="alice"))
    await attach(socket)

    event = [{"action": 2}]
    nack = await socket.ask(PRESENCE, NACK, channel=ROOM, msgSerial=0, presence=event)

    assert nack["error"]["code"] == 91000


async def test_a_member_whose_socket_broke_leaves_after_a_grace(
    ably: AblyServer, dial: Dial
) -> None:
    """With an id that is not the connection's: SDKs then compare by time."""
    member, watcher = await dial(clientId="alice"), await dial()
    connection = (await member.hear(CONNECTED))["connectionId"]
    await attach(member)
    await attach(watcher)
    await member.ask(PRESENCE, ACK, channel=ROOM, msgSerial=0, presence=[{"action": 2}])
    await watcher.hear(PRESENCE)
    ably.drop(clientId="alice")

    ably.set_clock(14_000)
    status = httpx.get(f"{ably.url}/channels/{ROOM}/presence", params={"key": ably.key}).json()
    ably.set_clock(16_000)
    [left] = (await watcher.hear(PRESENCE))["presence"]

    assert [one["clientId"] for one in status] == ["alice"]
    assert (left["action"], left["clientId"], left["connectionId"]) == (3, "alice", connection)
    assert not left["id"].startswith(connection)


@pytest.mark.parametrize(("action", "answer"), [(CLOSE, CLOSED), (DETACH, DETACHED)])
async def test_who_closes_or_detaches_leaves_at_once(dial: Dial, action: int, answer: int) -> None:
    member, watcher = await dial(clientId="alice"), await dial()
    await attach(member)
    await attach(watcher)
    await member.ask(PRESENCE, ACK, channel=ROOM, msgSerial=0, presence=[{"action": 2}])
    await watcher.hear(PRESENCE)

    await member.ask(action, answer, channel=ROOM)

    assert (await watcher.hear(PRESENCE))["presence"][0]["action"] == 3


async def test_heartbeats_are_frames_when_nothing_else_is_said(
    ably: AblyServer, dial: Dial
) -> None:
    """ably-python counts nothing else as a sign of life; a ping by id is answered with it."""
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
    """A key may be anybody, a token with an identity only that one."""
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
    """Not an ERROR: the client renews its token and resumes."""
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
    """Nobody else is touched, and the token opens nothing any more."""
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


async def test_occupancy_is_told_to_who_asks_for_it(dial: Dial) -> None:
    socket = await dial()
    await attach(socket, params={"occupancy": "metrics"})
    alone = (await socket.hear(MESSAGE))["messages"][0]

    await attach(await dial())

    both = (await socket.hear(MESSAGE))["messages"][0]
    assert alone["name"] == "[meta]occupancy"
    assert (alone["data"]["metrics"]["connections"], both["data"]["metrics"]["connections"]) == (
        1,
        2,
    )


async def test_occupancy_of_one_category_is_told_alone(dial: Dial) -> None:
    """When it is `metrics.<category>` that is asked for."""
    socket = await dial()
    await attach(socket, params={"occupancy": "metrics.presenceMembers"})
    nobody = (await socket.hear(MESSAGE))["messages"][0]

    member = await dial(clientId="alice")
    await attach(member)
    await member.ask(PRESENCE, ACK, channel=ROOM, msgSerial=0, presence=[{"action": 2}])

    one = (await socket.hear(MESSAGE))["messages"][0]
    assert nobody["data"]["metrics"] == {"presenceMembers": 0}
    assert one["data"]["metrics"] == {"presenceMembers": 1}


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
    """And the server goes on."""
    socket = await dial()
    await socket.hear(CONNECTED)

    await socket._socket.send(text)

    assert (await socket.hear(DISCONNECTED))["error"]["code"] == 40000
    assert await socket.until_closed() == 1000
