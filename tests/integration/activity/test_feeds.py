"""Feeds: what is posted is listed and streamed, each entry once."""

from __future__ import annotations

import asyncio
from typing import Any

from api.activity.fan_in import job_finished, message_posted
from api.announcements import JobFinished, MessagePosted
from api.events import Published, TopicName, log_key
from tests.integration.activity.conftest import FEED
from tests.support.client import Client
from tests.support.instances import Instance, running, settings_for
from tests.support.upstash_server import UpstashServer
from tests.support.users import user

URL = f"/api/activity/{FEED}"


def action(number: int = 0) -> dict[str, Any]:
    thing = {"type": "document", "id": str(number), "link": f"/documents/{number}"}
    return {"verb": "edited", "object": thing, "details": {"n": number}}


async def post(client: Client, *numbers: int, url: str = URL) -> list[str]:
    ids = []
    for number in numbers:
        answer = await client.http.post(url, json=action(number))
        ids.append(answer.raise_for_status().json()["id"])
    return ids


async def pages(client: Client, limit: int) -> list[Any]:
    """All entries, page by page, while more are added at the top."""
    entries: list[Any] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await client.http.get(URL, params={"limit": str(limit), **cursor})
        page = answer.raise_for_status().json()
        entries += page["data"]
        await post(client, -1)
        assert page["has_more"] == (page["next_cursor"] is not None)
        if not page["has_more"]:
            return entries
        cursor = {"cursor": page["next_cursor"]}


async def test_what_is_posted_is_listed_newest_first(writer: Client):
    """In the caller's name; the same event as the stream brings."""
    ids = await post(writer, 1, 2)
    (newest, oldest) = (await writer.http.get(URL)).json()["data"]

    assert [newest["id"], oldest["id"]] == ids[::-1]
    assert newest["type"] == "activity"
    assert newest["topic"] == f"{FEED}:activity"
    assert newest["data"] == {
        "actor": "wendy",
        "verb": "edited",
        "object": {"type": "document", "id": "2", "title": None, "link": "/documents/2"},
        "details": {"n": 2},
    }


async def test_pages_are_stable_while_entries_are_added(writer: Client):
    """No entry twice and none left out, whatever comes at the top meanwhile."""
    ids = await post(writer, *range(25))

    assert [entry["id"] for entry in await pages(writer, 10)] == ids[::-1]


async def test_a_last_page_that_is_full_says_so(writer: Client):
    """Nobody asks for a page that would be empty."""
    await post(writer, *range(10))
    page = (await writer.http.get(URL, params={"limit": "10"})).json()

    assert (len(page["data"]), page["has_more"], page["next_cursor"]) == (10, False, None)


async def test_a_post_with_a_key_adds_once(writer: Client):
    """However often it is sent; the repeat says that it is one."""
    headers = {"Idempotency-Key": "k"}
    first = await writer.http.post(URL, json=action(), headers=headers)
    second = await writer.http.post(URL, json=action(), headers=headers)

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert second.headers["Idempotency-Replayed"] == "true"
    assert len((await writer.http.get(URL)).json()["data"]) == 1


async def test_a_stream_starts_with_the_newest_ten_and_goes_on(writer: Client):
    """Oldest of them first, so that the page appends as they come."""
    ids = await post(writer, *range(15))
    async with writer.stream_at(f"{URL}/stream") as stream:
        await stream.until_events(10)
        ids += await post(writer, 15)
        events = await stream.until_events(11)

    assert [event["id"] for event in events] == ids[5:]


async def test_a_stream_has_no_hole_and_no_double_while_others_publish(
    writer: Client, instance: Instance, upstash: UpstashServer
):
    """Whoever connects in the middle gets ten of the past and then everything, in order."""
    await post(writer, *range(10))
    go_on = True

    async def publish(client: Client) -> None:
        while go_on:
            await post(client, 1)

    async with running(settings_for(upstash)) as other:
        elsewhere = user(other, "wendy", publish=[f"{FEED}:**"])
        publishing = [asyncio.create_task(publish(one)) for one in (writer, elsewhere)]
        streams = []
        for _ in range(15):
            streams.append(writer.stream_at(f"{URL}/stream"))
            await streams[-1].until_events(12)
        go_on = False
        await asyncio.gather(*publishing)
        await elsewhere.http.aclose()
        topic = TopicName(f"{FEED}:activity")
        rows = await instance.services.redis.read("XRANGE", log_key(topic), "-", "+")
        ids = [entry_id for entry_id, _ in rows]
        for stream in streams:
            await stream.until(lambda one: bool(one.events) and one.events[-1]["id"] == ids[-1])
            seen = [event["id"] for event in stream.events]
            assert seen == ids[ids.index(seen[0]) :]
            await stream.close()


async def test_a_cursor_goes_on_without_history(writer: Client):
    """A reconnect brings what was missed and nothing again."""
    await post(writer, *range(12))
    async with writer.stream_at(f"{URL}/stream") as stream:
        await stream.until_events(10)
        cursor = stream.cursor
    missed = await post(writer, 1, 2)
    async with writer.stream_at(f"{URL}/stream", cursor) as stream:
        events = await stream.until_events(2)

    assert [event["id"] for event in events] == missed


async def test_a_feed_keeps_its_number_for_longer_than_a_topic(upstash: UpstashServer):
    """The number and the time are settings of feeds, and other topics keep theirs."""
    settings = settings_for(upstash, activity_max_events=10, topic_ttl_s=60)
    async with running(settings) as instance:
        client = Client(instance)
        await post(client, *range(120))
        await client.publish("public:other", 1)
        topic = log_key(TopicName(f"{FEED}:activity"))
        redis = instance.services.redis
        kept, ttl_s = await redis.read("XLEN", topic), await redis.read("TTL", topic)
        other_ttl_s = await redis.read("TTL", log_key(TopicName("public:other")))
        await client.http.aclose()

    assert 10 <= kept < 110
    assert ttl_s > 29 * 86_400
    assert other_ttl_s <= 60


async def test_feeds_of_others_can_neither_be_read_nor_written(instance: Instance, writer: Client):
    """Without saying whether they exist; one's own feed and the public one are read by all."""
    await post(writer, 1)
    stranger = user(instance, "sam")
    async with stranger.http as http:
        denied = [
            await http.get(URL),
            await http.post(URL, json=action()),
            await http.post("/api/activity/public", json=action()),
            await http.get("/api/activity/user:wendy"),
            await http.get(f"{URL}/stream", headers={"Accept": "text/event-stream"}),
        ]
        allowed = [
            await http.get("/api/activity/user:sam"),
            await http.get("/api/activity/public"),
        ]

    assert {answer.json()["code"] for answer in denied} == {"forbidden"}
    assert [answer.json()["data"] for answer in allowed] == [[], []]


async def test_what_jobs_and_chat_bring_in_fits_the_feeds(instance: Instance):
    """The drafts of the fan-in are valid, and land where their readers look."""
    drafts = [
        job_finished(JobFinished("wendy", "job_1", "report", "succeeded"), details={"pages": 3}),
        job_finished(JobFinished("wendy", "job_2", "report", "failed"), feed=FEED),
        message_posted(MessagePosted("42", "wendy", "message-1")),
    ]
    stored = await instance.services.publisher.publish_many(drafts, owner="wiring")
    client = Client(instance)
    async with client.http as http:
        own = (await http.get("/api/activity/user:wendy")).json()["data"]
        shared = (await http.get(URL)).json()["data"]

    assert all(isinstance(one, Published) for one in stored)
    assert [entry["data"]["verb"] for entry in own] == ["succeeded"]
    assert [entry["data"]["verb"] for entry in shared] == ["posted", "failed"]


async def test_costs_of_a_feed(writer: Client, upstash: UpstashServer, instance: Instance):
    """As the table says: a post is one command, a page one, whatever the number of readers."""
    instance.poll_by_hand()
    await post(writer, *range(20))
    upstash.reset_meter()
    await post(writer, 1)
    posted = upstash.meter().commands
    upstash.reset_meter()
    await writer.http.get(URL, params={"limit": "10"})
    listed = upstash.meter().commands
    upstash.reset_meter()
    async with writer.stream_at(f"{URL}/stream") as stream:
        await stream.until_events(10)
        connected = upstash.meter().commands

    assert posted == {"XADD": 1}
    assert listed == {"XREVRANGE": 1}
    assert connected == {"XREVRANGE": 1}
