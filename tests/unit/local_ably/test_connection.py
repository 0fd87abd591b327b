"""The protocol of a connection, without a socket: frames in, frames out."""

from __future__ import annotations

from typing import Any

import pytest

from infra.local.ably.apps import App, Apps
from infra.local.ably.clock import Clock
from infra.local.ably.connection.connection import STATE_TTL_MS, Connection
from infra.local.ably.connection.outbox import Outbox
from infra.local.ably.keys_and_tokens.keys import EVERYTHING, Grant, Key
from infra.local.ably.protocol import Action, Frame, Mode

KEY = Key("app.key", "secret", EVERYTHING)


class Room:
    """One app whose clock stands still, and connections to it."""

    def __init__(self) -> None:
        self.apps = Apps(KEY, Clock(lambda: 1_700_000_000))
        self.app: App = self.apps.of(Grant.of_key(KEY))

    def connect(self, **query: str) -> tuple[Connection, Outbox]:
        outbox = Outbox()
        return self.app.connections.connect(Grant.of_key(KEY), query, outbox), outbox

    def after(self, ms: int) -> None:
        self.apps.clock.offset_ms += ms
        self.apps.tick()


@pytest.fixture
def room() -> Room:
    return Room()


def actions(outbox: Outbox) -> list[int]:
    return [frame["action"] for frame in outbox.take()]


def attach(**fields: Any) -> Frame:
    return {"action": 10, "channel": "a", **fields}


def message(serial: int, name: str) -> Frame:
    return {"action": 15, "channel": "a", "msgSerial": serial, "messages": [{"name": name}]}


def test_every_action_that_is_unknown_is_ignored(room: Room) -> None:
    """A newer client may send actions that this server does not know."""
    connection, outbox = room.connect()

    for frame in ({"action": 99}, {}, {"action": "x"}, {"action": int(Action.ACK)}):
        connection.receive(frame)

    assert actions(outbox) == [Action.CONNECTED]


def test_attaching_again_is_answered_again(room: Room) -> None:
    """The connection does not get messages twice."""
    connection, outbox = room.connect()

    connection.receive(attach())
    connection.receive(attach())
    connection.receive(message(0, "x"))

    assert actions(outbox) == [4, 11, 11, 15, 1]


def test_a_dropped_connection_can_be_resumed_for_two_minutes(room: Room) -> None:
    """After that time it is forgotten."""
    connection, outbox = room.connect()
    connection.dropped(outbox)
    room.after(STATE_TTL_MS - 1)
    resumed, second = room.connect(resume=connection.key)
    assert resumed is connection

    connection.dropped(second)
    room.after(STATE_TTL_MS)
    later, third = room.connect(resume=connection.key)

    assert later is not connection
    assert third.take()[0]["error"]["code"] == 80008


def test_the_end_of_an_old_socket_does_not_end_a_resumed_connection(room: Room) -> None:
    """Sockets often die after the client has opened the next one."""
    connection, first = room.connect()
    _, second = room.connect(resume=connection.key)
    second.take()

    connection.dropped(first)
    connection.receive(message(0, "x"))

    assert connection.is_live
    assert actions(second) == [Action.ACK]


def test_a_connection_is_out_of_the_room_while_it_is_away(room: Room) -> None:
    """The serial in its next attach brings the messages of the meantime."""
    connection, outbox = room.connect()
    connection.receive(attach())
    serial = outbox.take()[-1]["channelSerial"]
    connection.dropped(outbox)
    other, _ = room.connect()
    other.receive(message(0, "x"))

    _, again = room.connect(resume=connection.key)
    connection.receive(attach(channelSerial=serial))

    assert not outbox.take()
    assert actions(again) == [4, 11, 15]


def test_a_log_that_has_dropped_what_follows_says_so(room: Room) -> None:
    """ATTACHED comes without RESUMED, so that the client knows that it has to fetch."""
    connection, outbox = room.connect()
    connection.receive(attach())
    serial = outbox.take()[-1]["channelSerial"]
    for number in range(1_001):
        connection.receive(message(number, "x"))
    outbox.take()

    connection.receive(attach(channelSerial=serial))

    [attached] = outbox.take()
    assert not attached["flags"] & 4


@pytest.mark.parametrize("name", ["", ":a", "a\nb", "[a", "[unknown]a", "[metadata]a"])
def test_what_is_no_channel_name_fails_that_channel_only(room: Room, name: str) -> None:
    connection, outbox = room.connect()
    outbox.take()

    connection.receive(attach(channel=name))

    [error] = outbox.take()
    assert (error["action"], error["channel"]) == (Action.ERROR, name)
    assert error["error"]["code"] in {40010, 40160}
    assert connection.is_live


@pytest.mark.parametrize("name", ["[meta]log", "[?rewind=1]a", "a[b]"])
def test_a_qualifier_of_the_service_is_legal_in_a_name(room: Room, name: str) -> None:
    connection, outbox = room.connect()

    connection.receive(attach(channel=name))

    assert actions(outbox) == [Action.CONNECTED, Action.ATTACHED]


@pytest.mark.parametrize("rewind", ["", "soon", "-1", "1h", "1.5s", {}])
def test_a_rewind_that_cannot_be_read_fails_the_channel(room: Room, rewind: object) -> None:
    """The service documents this. The connection continues."""
    connection, outbox = room.connect()
    outbox.take()

    connection.receive(attach(params={"rewind": rewind}))

    [error] = outbox.take()
    assert (error["action"], error["error"]["code"]) == (Action.ERROR, 40003)
    assert connection.is_live
    assert not connection.attachments


def test_who_asks_for_objects_alone_is_not_subscribed_to_messages(room: Room) -> None:
    """The default is for attachments without any mode."""
    connection, outbox = room.connect()

    connection.receive(attach(flags=int(Mode.OBJECT_SUBSCRIBE)))
    connection.receive(message(0, "x"))

    assert [one["action"] for one in outbox.take()] == [4, 11, 2]


@pytest.mark.parametrize("fields", [{"action": 21}, {"messages": [{"action": 1, "serial": "x"}]}])
def test_a_change_or_annotation_of_a_message_is_93002(room: Room, fields: Frame) -> None:
    """They do not count as new messages, and they are answered."""
    connection, outbox = room.connect()
    connection.receive(attach())
    outbox.take()

    connection.receive(message(3, "x") | fields)

    [nack] = outbox.take()
    assert (nack["action"], nack["msgSerial"], nack["count"]) == (Action.NACK, 3, 1)
    assert nack["error"]["code"] == 93002


def test_a_connection_that_was_closed_is_not_one_that_never_was(room: Room) -> None:
    """The key of the first is 80008, a key that was never given 80018."""
    connection, _ = room.connect()
    connection.receive({"action": int(Action.CLOSE)})
    room.after(1)

    _, ended = room.connect(resume=connection.key)
    _, unknown = room.connect(resume="0123456789!unknown")

    assert ended.take()[0]["error"]["code"] == 80008
    assert unknown.take()[0]["error"]["code"] == 80018


def test_nothing_is_said_after_the_end(room: Room) -> None:
    connection, outbox = room.connect()

    connection.receive({"action": int(Action.CLOSE)})
    connection.receive(message(0, "x"))

    assert actions(outbox) == [Action.CONNECTED, Action.CLOSED]
    assert outbox.is_ended
