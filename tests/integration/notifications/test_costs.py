"""What each act costs, on the server's own meter."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from api.events import TopicName
from tests.integration.notifications.conftest import URL, Inbox, Sender
from tests.support.instances import Instance
from tests.support.upstash_server import UpstashServer

USERS = 10_000
STREAMS = 100
ENTRY = '{"type":"notification","data":{"level":"info","title":"hello","body":""}}'

Bill = Callable[[], dict[str, int]]


@pytest.fixture
def bill(upstash: UpstashServer) -> Bill:
    """The commands since it was last asked."""

    def bill() -> dict[str, int]:
        commands = upstash.meter().commands
        upstash.reset_meter()
        return commands

    return bill


@pytest.fixture
async def still(instance: Instance) -> AsyncIterator[Instance]:
    """An instance that reads the log only when the test says so."""
    instance.poll_by_hand()
    yield instance


async def sign_up(instance: Instance, count: int) -> None:
    """Users who were all notified before."""
    topics = [TopicName(f"user:user{number}:notifications") for number in range(count)]
    await instance.services.streaming.log.append([(topic, ENTRY) for topic in topics])


async def cost_of_broadcast(instance: Instance, sender: Sender, bill: Bill) -> dict[str, int]:
    """To `STREAMS` users who read, and all who do not."""
    inboxes = [Inbox(instance, f"user{number}") for number in range(STREAMS)]
    streams = [inbox.stream(unread=0) for inbox in inboxes]
    for stream in streams:
        await stream.until_connected()
    await sender.send("before")
    await instance.services.poller.run_once()
    bill()
    await sender.send("to all")
    await instance.services.poller.run_once()
    for stream in streams:
        await stream.until_events(2)
    cost = bill()
    for stream, inbox in zip(streams, inboxes, strict=True):
        await stream.close()
        await inbox.http.aclose()
    return cost


async def test_a_broadcast_to_ten_thousand_users_costs_what_one_to_a_hundred_does(
    still: Instance, sender: Sender, bill: Bill, upstash: UpstashServer
):
    """One command to store it and one to deliver it, to however many; no copies for anybody."""
    await sign_up(still, STREAMS)
    few = await cost_of_broadcast(still, sender, bill)
    await sign_up(still, USERS)
    many = await cost_of_broadcast(still, sender, bill)
    keys = await still.services.redis.read("DBSIZE")
    late = Inbox(still, f"user{USERS - 1}")
    bill()
    page = await late.page()

    assert few == many == {"XADD": 1, "XREAD": 1}
    assert [one["data"]["title"] for one in page["data"]][:2] == ["to all", "before"]
    assert bill() == {"XREAD": 1, "HGETALL": 1, "XREVRANGE": 2}
    assert await still.services.redis.read("DBSIZE") == keys
    await late.http.aclose()


async def test_sending_is_one_command_for_each_recipient(sender: Sender, bill: Bill):
    """And one more where a log's time is due; with a key the script and its record."""
    await sender.send("t", "a", "b")
    first = bill()
    await sender.send("t", "a", "b")
    second = bill()
    await sender.send("t", "a", "b", key="k")
    third = bill()
    await sender.send("t", "a", "b", key="k")

    assert first == {"XADD": 2, "EXPIRE": 2}
    assert second == {"XADD": 2}
    assert third == {"EVAL": 1, "GET": 1, "XADD": 2, "EXPIRE": 2, "SET": 1}
    assert bill() == {"EVAL": 1, "GET": 1}


async def test_reading_and_deleting(still: Instance, sender: Sender, alice: Inbox, bill: Bill):
    """As the table says, with the event that tells other devices; nothing new is cheaper."""
    names = [(await sender.send(str(n), *(["alice"] * (n % 2))))[0] for n in range(4)]
    seen = (await alice.page())["seen"]
    bill()
    told = {"HSET": 1, "XADD": 1, "EXPIRE": 2}

    await alice.read(ids=names[:2])
    assert bill() == {"EVAL": 1, "HGETALL": 1, "XRANGE": 2, **told}
    await alice.read(ids=names[:2])
    assert bill() == {"EVAL": 1, "HGETALL": 1, "XRANGE": 2}
    await alice.http.delete(f"{URL}/{names[3]}")
    assert bill() == {"EVAL": 1, "HGETALL": 1, "XRANGE": 1, **told}
    await alice.read(up_to=seen)
    assert bill() == {"EVAL": 1, "HGETALL": 1, "HDEL": 1, **told}
    await alice.unread()
    assert bill() == {"EVAL": 1, "HGETALL": 1, "XRANGE": 2}


async def test_listing_and_connecting(still: Instance, sender: Sender, alice: Inbox, bill: Bill):
    """What is known to be read is not read from the log again."""
    for number in range(30):
        await sender.send(str(number), *(["alice"] * (number % 2)))
    bill()
    page = await alice.page(limit=10)
    assert bill() == {"XREAD": 1, "HGETALL": 1, "XREVRANGE": 2}
    await alice.page(limit=10, cursor=page["next_cursor"])
    assert bill() == {"HGETALL": 1, "XREVRANGE": 2}
    async with alice.stream() as stream:
        await stream.until_events(20)
        assert bill() == {"XREAD": 1, "HGETALL": 1, "XREVRANGE": 2}
    await alice.read(up_to=page["seen"])
    bill()
    async with alice.stream():
        # The user's own topic holds the event that told of the reading.
        assert bill() == {"XREAD": 1, "HGETALL": 1, "XREVRANGE": 1}
