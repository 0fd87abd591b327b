"""Presence on a channel, frame by frame."""

from __future__ import annotations

import httpx
import pytest

from tests.integration.local_ably.conftest import Dial, Token
from tests.integration.local_ably.frames import (
    ACK,
    CLOSE,
    CLOSED,
    CONNECTED,
    DETACH,
    DETACHED,
    HAS_PRESENCE,
    NACK,
    PRESENCE,
    ROOM,
    SYNC,
    attach,
)
from tests.support.ably_server import AblyServer


async def test_who_is_present_is_synced_in_one_page(dial: Dial) -> None:
    """A flag announces the page, and its empty cursor says that it is the last."""
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
    """A token without a `clientId`, for example with a misspelled one, is anonymous."""
    socket = await dial(access_token=token(client_id="alice"))
    await attach(socket)

    event = [{"action": 2}]
    nack = await socket.ask(PRESENCE, NACK, channel=ROOM, msgSerial=0, presence=event)

    assert nack["error"]["code"] == 91000


async def test_a_member_whose_socket_broke_leaves_after_a_grace(
    ably: AblyServer, dial: Dial
) -> None:
    """The id of the leave is not the connection's, so that SDKs compare by time."""
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
