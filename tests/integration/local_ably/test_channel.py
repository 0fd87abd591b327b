"""A channel, frame by frame: attaching, messages, what was missed, and occupancy."""

from __future__ import annotations

from tests.integration.local_ably.conftest import Dial, Token
from tests.integration.local_ably.frames import (
    ACK,
    ATTACH,
    ATTACH_RESUME,
    ATTACHED,
    CONNECTED,
    HAS_BACKLOG,
    MESSAGE,
    MODE_SUBSCRIBE,
    NACK,
    PRESENCE,
    RESUMED,
    ROOM,
    attach,
    names,
    publish,
)


async def test_attached_carries_the_modes_that_the_capability_allows(
    dial: Dial, token: Token
) -> None:
    """Without those bits ably-js hears nothing; `params` are those that are known."""
    socket = await dial(access_token=token(capability='{"room:*":["subscribe"]}'))

    attached = await attach(socket, params={"rewind": "1", "what": "ever"})

    assert attached["flags"] & MODE_SUBSCRIBE
    assert attached["flags"] >> 16 == (MODE_SUBSCRIBE | 1 << 19) >> 16
    assert attached["params"] == {"rewind": "1"}


async def test_attached_confirms_every_param_that_the_service_knows(dial: Dial) -> None:
    """`delta` is confirmed too, though messages are sent whole, which clients must accept."""
    reader, writer = await dial(), await dial()
    params = {"delta": "vcdiff", "modes": "subscribe", "appendMode": "full", "echo": "true"}

    attached = await attach(reader, params={**params, "what": "ever"})
    await writer.ask(MESSAGE, ACK, channel=ROOM, msgSerial=0, messages=[{"data": "whole"}])

    assert attached["params"] == params
    assert attached["flags"] >> 16 == MODE_SUBSCRIBE >> 16
    assert (await reader.hear(MESSAGE))["messages"][0]["data"] == "whole"


async def test_a_mode_that_was_not_asked_for_is_40165(dial: Dial) -> None:
    """It is refused although the capability allows it."""
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
    """It is a param of the channel, and does not change the connection's other channels."""
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
    """The ACK may have been lost with the socket, so it is sent again with the first serials."""
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
    """Each message comes once, and the flag says that none is missing."""
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
    """The server does not know what came after it, so it must not say that nothing did."""
    socket = await dial()

    attached = await attach(socket, channelSerial="00000000000001-000@local")

    assert not attached["flags"] & RESUMED


async def test_rewind_applies_to_the_first_attach_only(dial: Dial) -> None:
    """An attach that the client calls a resume gets no rewind either."""
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
    """The serial of ATTACHED is just before the first message of the backlog."""
    writer = await dial()
    for serial, name in enumerate("ab"):
        await publish(writer, serial, name)
    attached = await attach(await dial(), params={"rewind": "2m"})

    late = await dial()
    await attach(late, channelSerial=attached["channelSerial"])

    assert [names(await late.hear(MESSAGE)) for _ in range(2)] == [["a"], ["b"]]


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
    """`metrics.<category>` asks for one figure."""
    socket = await dial()
    await attach(socket, params={"occupancy": "metrics.presenceMembers"})
    nobody = (await socket.hear(MESSAGE))["messages"][0]

    member = await dial(clientId="alice")
    await attach(member)
    await member.ask(PRESENCE, ACK, channel=ROOM, msgSerial=0, presence=[{"action": 2}])

    one = (await socket.hear(MESSAGE))["messages"][0]
    assert nobody["data"]["metrics"] == {"presenceMembers": 0}
    assert one["data"]["metrics"] == {"presenceMembers": 1}
