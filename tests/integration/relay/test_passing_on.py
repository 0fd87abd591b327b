"""What an upstream sends reaches every reader once."""

from __future__ import annotations

import asyncio

from tests.integration.relay.conftest import Start, greetings, has, prices, told, watch
from tests.support.client import Client
from tests.support.sse_upstream import UpstreamProcess


async def test_events_are_passed_on_with_our_cursor(start: Start, upstream: UpstreamProcess):
    """A reader that comes back goes on after what it saw."""
    instance = await start()
    first = watch(instance)
    await upstream.order(count=3)
    await has(first, 3)
    await first.close()
    await upstream.order(count=6)
    second = watch(instance, cursor=first.cursor)
    await has(second, 3)

    assert greetings(first) == [False]
    assert prices(first) == [1, 2, 3]
    assert prices(second) == [4, 5, 6]
    await second.close()


async def test_many_readers_share_one_connection(start: Start, upstream: UpstreamProcess):
    """Two hundred at one instance, and more at another one."""
    one, other = await start(), await start()
    streams = [watch(one) for _ in range(200)] + [watch(other) for _ in range(5)]
    for stream in streams:
        await stream.until_connected()
    await upstream.order(count=5)
    for stream in streams:
        await has(stream, 5)
    state = await upstream.order()

    assert (state["connections"], state["most_open"]) == (1, 1)
    assert all(prices(stream) == [1, 2, 3, 4, 5] for stream in streams)
    for stream in streams:
        await stream.close()


async def test_a_kill_in_the_middle_of_an_event_loses_and_repeats_nothing(
    start: Start, upstream: UpstreamProcess
):
    """The half event comes whole after the restart, for readers at both instances."""
    one, other = await start(), await start()
    streams = [watch(one), watch(other)]
    for stream in streams:
        await stream.until_connected()
    await upstream.order(count=3, mode={"kind": "events", "half": True})
    for stream in streams:
        await has(stream, 3)
    upstream.kill()
    for stream in streams:
        await told(stream, "upstream-cut")
    upstream.start()
    await upstream.order(count=6)
    for stream in streams:
        await has(stream, 6)

    for stream in streams:
        assert prices(stream) == [1, 2, 3, 4, 5, 6]
        assert greetings(stream)[-1] is True
        await stream.close()


async def test_an_instance_that_goes_is_followed_by_the_next(
    start: Start, upstream: UpstreamProcess
):
    """Without a hole and without a repeat, whether it could say so or not."""
    one, other = await start(), await start()
    leaving, staying = watch(one), watch(other)
    await upstream.order(count=3)
    await has(leaving, 3)
    await has(staying, 3)
    await leaving.close()
    for feature in one.services.features:
        await feature.close()
    await upstream.order(count=6)
    await has(staying, 6)

    assert prices(staying) == [1, 2, 3, 4, 5, 6]
    await staying.close()


async def test_an_upstream_that_repeats_itself_is_not_repeated(
    start: Start, upstream: UpstreamProcess
):
    """One that does not know Last-Event-ID sends its ids again, and each is known."""
    instance = await start()
    stream = watch(instance)
    await upstream.order(count=3, mode={"kind": "events", "deaf": True})
    await has(stream, 3)
    upstream.kill()
    upstream.start()
    await upstream.order(count=5, mode={"kind": "events", "deaf": True})
    await has(stream, 5)

    assert prices(stream) == [1, 2, 3, 4, 5]
    await stream.close()


async def test_a_poll_reads_the_same(start: Start, upstream: UpstreamProcess):
    """With the same cursor; the upstream stays connected between two polls."""
    instance = await start()
    client = Client(instance)
    await upstream.order(count=2)
    headers = {"Accept": "application/json"}
    cursor = ""
    seen: list[str] = []
    async with asyncio.timeout(10):
        while len(seen) < 2:
            query = f"?wait=2&cursor={cursor}" if cursor else "?history=100"
            answer = await client.http.get(f"/api/relay/prices{query}", headers=headers)
            seen += [e["data"] for e in answer.json()["events"] if e["type"] == "price"]
            cursor = answer.json()["cursor"]
    state = await upstream.order()

    assert seen == ["1", "2"]
    assert state["connections"] == 1
    await client.http.aclose()
