"""The clock is for anybody, and still under the limits of all streams."""

from __future__ import annotations

import asyncio
import json

from api.events import CloseReason, Deadline, window
from tests.integration.http.conftest import Api, client_of, production
from tests.integration.http.rows import assert_problem
from tests.support.asgi_reader import AsgiConnection
from tests.support.client import Stream
from tests.support.instances import Instance, running
from tests.support.upstash_server import UpstashServer


def watch(instance: Instance) -> Stream:
    """A reader without credentials."""
    app: object = instance.app
    return Stream(AsgiConnection(app, "/api/clock", [], {}))  # type: ignore[arg-type]


def ticks(stream: Stream) -> list[str]:
    return [json.loads(one.data)["time"] for one in stream.frames if one.event == "tick"]


async def test_anybody_may_read_it(api: Api):
    """No token is asked for, and one that came is not looked at."""
    stream = watch(api.instance)
    await stream.until(lambda one: bool(ticks(one)))

    assert stream.connection.status == 200
    assert stream.connection.headers["content-type"] == "text/event-stream"
    assert stream.retry_ms is not None
    await stream.close()


async def test_ticks_cost_no_redis_command(api: Api, upstash: UpstashServer):
    """The lease is all that a reader costs."""
    stream = watch(api.instance)
    await stream.until(lambda one: bool(ticks(one)))
    upstash.reset_meter()
    await stream.until(lambda one: len(ticks(one)) > 2)

    assert upstash.meter().commands == {}
    await stream.close()


async def test_one_address_may_not_hold_any_number(upstash: UpstashServer):
    """The limit of an address, not that of a user whom everybody would share."""
    settings = production(upstash, max_anonymous_streams_per_ip=3)
    async with running(settings) as instance, client_of(instance) as client:
        streams = [watch(instance) for _ in range(3)]
        for stream in streams:
            await stream.until(lambda one: bool(ticks(one)))
        refused = await client.get("/api/clock")
        for stream in streams:
            await stream.close()
        again = await watch(instance).until(lambda one: bool(ticks(one)))

        assert_problem(refused, 429, "over-connection-limit")
        assert again.connection.status == 200
        await again.close()


async def test_it_ends_at_its_deadline_with_a_bye(upstash: UpstashServer):
    """As every stream does."""
    deadline = Deadline(0.5, CloseReason.ROTATE)
    async with running(production(upstash), lambda _: deadline) as instance:
        stream = await watch(instance).until_end()

    assert stream.bye["reason"] == "rotate"
    assert stream.bye["retry_ms"] >= 1000


async def test_a_buffered_answer_is_one_tick_at_once(upstash: UpstashServer):
    """A function that cannot stream does not wait for the next second."""
    async with running(production(upstash), window(5)) as instance, client_of(instance) as client:
        async with asyncio.timeout(3):
            answer = await client.get("/api/clock")

    assert answer.text.count("event: tick") == 1
    assert '"reason":"deadline"' in answer.text


async def test_a_drain_ends_it_and_refuses_more(api: Api):
    """With `bye shutdown`, and then with the advice to come back."""
    stream = watch(api.instance)
    await stream.until(lambda one: bool(ticks(one)))
    drained = await api.instance.services.streaming.open_streams.drain(timeout_s=2)
    await stream.until_end()
    refused = await api.client.get("/api/clock")

    assert drained
    assert stream.bye["reason"] == "shutdown"
    assert refused.text.endswith(": draining\n\n")


async def test_a_reader_costs_no_redis_command(api: Api, upstash: UpstashServer):
    """From its first byte to its last: anybody may come as often as they like."""
    upstash.reset_meter()
    stream = watch(api.instance)
    await stream.until(lambda one: bool(ticks(one)))
    await stream.close()

    assert upstash.meter().commands == {}


async def test_those_without_a_name_cannot_fill_the_process(upstash: UpstashServer):
    """Whatever their addresses: one too many is told to come back, and users are let in."""
    settings = production(upstash, max_anonymous_streams=2)
    async with running(settings) as instance, client_of(instance) as client:
        streams = [watch(instance) for _ in range(2)]
        for stream in streams:
            await stream.until(lambda one: bool(ticks(one)))
        refused = await client.get("/api/clock")
        await streams[0].close()
        again = await watch(instance).until(lambda one: bool(ticks(one)))

        assert refused.status_code == 200
        assert refused.text.endswith(": overloaded\n\n")
        await streams[1].close()
        await again.close()


async def test_it_takes_an_instance_of_its_own_for_seconds_only(upstash: UpstashServer):
    """Where each answer has one, anybody could take all that there are."""
    deadline = Deadline(600, CloseReason.DEADLINE, is_alone=True)
    async with running(production(upstash), lambda _: deadline) as instance:
        began = asyncio.get_running_loop().time()
        stream = await watch(instance).until_end(15)
        lasted_s = asyncio.get_running_loop().time() - began

    assert stream.bye["reason"] == "deadline"
    assert lasted_s < 12


async def test_who_asks_for_json_is_told_the_time_once(api: Api):
    """A client that reads no streams would wait for ever."""
    async with asyncio.timeout(3):
        answer = await api.client.get("/api/clock", headers={"Accept": "application/json"})

    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["time"].endswith("Z")


async def test_who_accepts_neither_form_is_told_so(api: Api):
    """As on every other stream."""
    answer = await api.client.get("/api/clock", headers={"Accept": "image/png"})

    assert_problem(answer, 406, "not-acceptable")
