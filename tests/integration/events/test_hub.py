"""Readers who are ahead of this process or behind it, or come and go while it reads."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from api.events.cursor import Cursor
from api.events.event import EventId
from api.events.http.read import poll
from api.events.live.catch_up import CatchUp
from api.events.log.topic_log import TopicLog
from api.events.read_request import ReadRequest
from api.events.reasons import ResetReason
from api.events.topic import TopicName, log_key
from api.upstash import UpstashClient, WrongType
from tests.integration.events.conftest import Start, put
from tests.support.client import Client
from tests.support.instances import Instance
from tests.support.leap_loop import turns

A, B = TopicName("public:a"), TopicName("public:b")


@pytest.fixture
async def still(start: Start) -> Instance:
    """An instance that reads the log only when the test says so."""
    instance = await start()
    instance.poll_by_hand()
    return instance


def data(events: list[Any]) -> list[Any]:
    return [event["data"] for event in events]


async def test_a_reader_from_a_faster_process_waits_for_this_one(
    still: Instance, instance: Instance
):
    """It has read more than this process: nothing is repeated and nothing skipped."""
    async with Client(still).stream([A]):
        await put(still.services.streaming.log, A, 1)
        ahead = (await Client(instance).poll([A], history=1)).json()["cursor"]
        resumed = await Client(still).stream([A], ahead).until_connected()
        await turns()
        await still.services.poller.run_once()
        await put(still.services.streaming.log, A, 2)
        await still.services.poller.run_once()
        assert data(await resumed.until_events(1)) == [2]
        await resumed.close()


async def test_a_reader_that_is_ahead_on_one_of_its_topics_waits_too(
    still: Instance, instance: Instance
):
    """It is not enough that it is level on the others."""
    async with Client(still).stream([A, B]):
        await put(still.services.streaming.log, A, 1)
        ahead = (await Client(instance).poll([A, B], history=1)).json()["cursor"]
        resumed = await Client(still).stream([A, B], ahead).until_connected()
        await turns()
        await still.services.poller.run_once()
        await put(still.services.streaming.log, B, 2)
        await still.services.poller.run_once()
        assert data(await resumed.until_events(1)) == [2]
        await resumed.close()


async def test_a_catch_up_that_memory_has_overtaken_reads_the_log_again(still: Instance):
    """It was at the end of the log; since then more came than memory holds."""
    streaming, poller = still.services.streaming, still.services.poller
    streaming.hub.watch([A])
    catchup = CatchUp(streaming.hub, streaming.log, ReadRequest.of([A], None, history=0))
    await catchup.begin()
    assert await catchup.step() is None
    for _ in range(3):
        await put(streaming.log, A, *["x"] * 100)
        while (await poller.run_once())[1]:
            pass
    read = 0
    while (batch := await catchup.step()) is not None:
        assert not batch.restarts
        read += len(batch.events)

    assert read == 300
    assert streaming.hub.is_level(catchup.positions)
    streaming.hub.unwatch([A])


async def test_a_poll_from_a_faster_process_waits_for_what_is_new(
    still: Instance, instance: Instance
):
    """It does not return what the client has already."""
    async with Client(still).stream([A]):
        await put(still.services.streaming.log, A, 1)
        ahead = (await Client(instance).poll([A], history=1)).json()["cursor"]
        waiting = asyncio.create_task(Client(still).poll([A], ahead, wait=20))
        await turns(20)
        await still.services.poller.run_once()
        await put(still.services.streaming.log, A, 2)
        await still.services.poller.run_once()
        async with asyncio.timeout(2):
            assert data((await waiting).json()["events"]) == [2]


class Late(TopicLog):
    """A log whose replies arrive when the test says so."""

    def hold(self) -> tuple[asyncio.Event, asyncio.Event]:
        self.read, self.go_on = asyncio.Event(), asyncio.Event()
        return self.read, self.go_on

    async def read_after(self, *args: Any, **kwargs: Any) -> Any:
        pages = await super().read_after(*args, **kwargs)
        self.read.set()
        await self.go_on.wait()
        return pages


class Meanwhile(TopicLog):
    """A log on which an event is stored as soon as its past was read for the first time."""

    async def newest(self, *args: Any, **kwargs: Any) -> Any:
        pages = await super().newest(*args, **kwargs)
        if not pages:
            await put(self, A, 1)
        return pages


async def test_an_event_that_comes_while_an_empty_topic_is_located_is_history(still: Instance):
    """It stands before the position that is found, so it would come neither as past nor as news."""
    streaming = still.services.streaming
    log = Meanwhile(streaming.log.client, streaming.log.retentions, streaming.log.monotonic)
    reading = ReadRequest.of([A], None, history=5)

    answer = await poll(replace(streaming, log=log), reading, wait_s=0)
    later = await poll(streaming, ReadRequest.of([A], Cursor.parse(answer.cursor)), wait_s=0)

    assert [event.data for event in (*answer.events, *later.events)] == [b"1"]


async def test_what_comes_while_the_log_is_read_ends_the_wait(still: Instance, instance: Instance):
    """The poller brought it before the reply arrived: nothing more may be waited for."""
    streaming = still.services.streaming
    late = Late(streaming.log.client, streaming.log.retentions, streaming.log.monotonic)
    is_read, go_on = late.hold()
    async with Client(still).stream([A]):
        await put(streaming.log, A, 1)
        ahead = (await Client(instance).poll([A], history=1)).json()["cursor"]
        reading = ReadRequest.of([A], Cursor.parse(ahead))
        waiting = asyncio.create_task(poll(replace(streaming, log=late), reading, wait_s=20))
        await is_read.wait()
        await put(streaming.log, A, 2)
        await still.services.poller.run_once()
        go_on.set()
        async with asyncio.timeout(2):
            answer = await waiting

    assert [event.data for event in answer.events] == [b"2"]


async def test_a_reset_of_a_topic_that_was_left_concerns_nobody(still: Instance):
    """Its last reader left while the poll was under way."""
    hub = still.services.streaming.hub
    async with Client(still).stream([B]) as held:
        before = hub.position(B)
        await hub.reset({A: (EventId(5, 0), ResetReason.TRIMMED)})

        assert hub.position(A) is None
        assert hub.position(B) == before
        assert len(held.frames) == 1


async def test_a_page_that_does_not_start_where_the_hub_stands_is_not_taken(still: Instance):
    """The topic was forgotten and located anew while the poll was under way."""
    hub, log = still.services.streaming.hub, still.services.streaming.log
    async with Client(still).stream([A]) as held:
        at = hub.position(A)
        assert at is not None
        await put(log, A, 1)
        pages = await log.read_after({A: at}, limit=10)
        assert await hub.deliver(pages) == 1
        assert await hub.deliver(pages) == 0
        await put(log, A, 2)
        await still.services.poller.run_once()
        assert data(await held.until_events(2)) == [1, 2]


async def test_several_selections_of_a_topic_each_get_it_once(still: Instance):
    """Readers with other topics, another filter or another form."""
    client = Client(still)
    streams = [
        await client.stream(*args, **query).until_connected()  # type: ignore[arg-type]
        for args, query in [
            (([A],), {}),
            (([A, B],), {}),
            (([A],), {"types": "tick"}),
            (([A],), {"types": "tick", "named": "false"}),
        ]
    ]
    await put(still.services.streaming.log, A, 1)
    await still.services.poller.run_once()

    for stream in streams:
        await stream.until(lambda one: len(one.frames) == 2)
        await stream.close()
    assert [stream.frames[1].event for stream in streams] == ["tick"] * 3 + ["message"]


async def test_a_watched_topic_is_followed_until_the_last_reader_left(still: Instance):
    """It is unwatched as often as it was watched."""
    hub = still.services.streaming.hub
    hub.watch([A, B])
    hub.watch([A])
    await hub.locate([A, B])
    hub.unwatch([A, B])
    left = set(hub.positions())
    hub.unwatch([A])

    assert (left, hub.positions()) == ({A}, {})


async def test_those_who_look_for_now_together_share_a_round_trip(still: Instance):
    """If it fails for one of them, the others try again."""
    hub = still.services.streaming.hub
    hub.watch([A, B])
    one, two, three = await asyncio.gather(hub.locate([A]), hub.locate([B]), hub.locate([A, B]))

    assert {**one, **two} == three == hub.positions()
    hub.unwatch([A, B])


async def test_a_key_of_another_type_is_an_error_of_its_readers_only(
    still: Instance, redis: UpstashClient
):
    """The topics of other readers are not touched."""
    await redis.write("SET", log_key(A), "text")
    hub = still.services.streaming.hub

    with pytest.raises(WrongType):
        await hub.locate([A])
    assert await hub.locate([B])


async def test_a_failed_item_of_a_batched_read_is_an_error(log: TopicLog, redis: UpstashClient):
    """A page that is missing must not look like an empty topic."""
    await redis.write("SET", log_key(A), "text")

    with pytest.raises(WrongType):
        await log.newest([A, B], limit=3)


async def test_a_step_that_failed_has_moved_nothing(still: Instance, redis: UpstashClient):
    """The caller may call it again."""
    streaming = still.services.streaming
    await put(streaming.log, A, 1, 2)
    start = (await streaming.log.newest([A], limit=2))[A].events[0].id
    catchup = CatchUp(streaming.hub, streaming.log, ReadRequest.of([A], None, history=0))
    catchup.positions = {A: start}
    await redis.write("RENAME", log_key(A), "aside")
    await redis.write("SET", log_key(A), "text")
    with pytest.raises(WrongType):
        await catchup.step()
    await redis.write("RENAME", "aside", log_key(A))
    batch = await catchup.step()

    assert batch is not None
    assert [event.data for event in batch.events] == [b"2"]
