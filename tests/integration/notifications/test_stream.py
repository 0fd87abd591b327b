"""One stream: what is unread, then what comes, and what other devices read."""

from __future__ import annotations

import asyncio

from api.events import window
from tests.integration.notifications.conftest import URL, Inbox, Sender, name_of, titles
from tests.support.client import Stream
from tests.support.instances import Instance, running, settings_for
from tests.support.upstash_server import UpstashServer


async def test_a_stream_begins_with_the_newest_unread_and_goes_on(sender: Sender, alice: Inbox):
    """Oldest of them first; what was read is left out."""
    names = [(await sender.send(str(n), *(["alice"] * (n % 2))))[0] for n in range(6)]
    await alice.read(ids=[names[3], names[4]])
    async with alice.stream(unread=3) as stream:
        await stream.until_events(3)
        await sender.send("live", "alice")
        await sender.send("to all")
        events = await stream.until_events(5)

    assert titles(events) == ["1", "2", "5", "live", "to all"]


async def test_nothing_unread_is_nothing_sent(sender: Sender, alice: Inbox):
    """Also with `unread=0`, whatever there is."""
    await sender.send("old")
    async with alice.stream(unread=0) as stream:
        await sender.send("new")
        assert titles(await stream.until_events(1)) == ["new"]
    await alice.read(up_to=(await alice.page())["seen"])
    async with alice.stream() as stream:
        await sender.send("newer")
        assert titles(await stream.until_events(1)) == ["newer"]


async def test_others_hear_nothing_of_what_is_sent_to_one(sender: Sender, alice: Inbox, bob: Inbox):
    """Both devices of the one do; a broadcast reaches all."""
    async with alice.stream() as one, alice.stream() as two, bob.stream() as other:
        await sender.send("for alice", "alice")
        await sender.send("for all")
        seen = [titles(await stream.until_events(2)) for stream in (one, two)]
        other_seen = titles(await other.until_events(1))

    assert seen == [["for alice", "for all"]] * 2
    assert other_seen == ["for all"]


async def test_what_one_device_reads_or_deletes_the_others_are_told(
    sender: Sender, alice: Inbox, bob: Inbox
):
    """By events on the user's own topic; nobody else is told."""
    (own,), (shared,) = await sender.send("own", "alice"), await sender.send("shared")
    async with alice.stream(unread=0) as stream, bob.stream(unread=0) as other:
        await alice.read(ids=[own, shared, "public:notifications/1-1"])
        seen = (await alice.page())["seen"]
        await sender.send("later")
        await alice.read(up_to=seen)
        await alice.http.delete(f"{URL}/{shared}")
        events = await stream.until_events(4)
        await other.until_events(1)

    told = {event["type"]: event["data"] for event in events if event["type"] != "notification"}
    assert events[0]["data"] == {"ids": [own, shared], "up_to": {}}
    assert set(told["notifications.read"]["up_to"]) == {own.split("/")[0], "public:notifications"}
    assert told["notifications.read"]["ids"] == []
    assert told["notifications.deleted"] == {"ids": [shared]}
    assert titles(other.events) == ["later"]


async def test_a_stream_that_starts_at_seen_repeats_and_misses_nothing(
    sender: Sender, alice: Inbox
):
    """The list's cursor is the stream's."""
    (first,) = await sender.send("listed", "alice")
    page = await alice.page()
    await sender.send("missed", "alice")
    await alice.read(ids=[first])
    async with alice.stream(page["seen"]) as stream:
        events = await stream.until_events(2)

    assert titles(page["data"]) == ["listed"]
    assert [event["type"] for event in events] == ["notification", "notifications.read"]
    assert titles(events) == ["missed"]


async def test_what_came_while_offline_is_in_list_count_and_stream(sender: Sender, alice: Inbox):
    """Broadcasts too: they wait for everybody, at no cost for each."""
    async with alice.stream() as stream:
        cursor = stream.cursor
    await sender.send("own", "alice")
    await sender.send("shared")

    assert titles(await alice.all()) == ["shared", "own"]
    assert await alice.unread() == 2
    async with alice.stream() as afresh, alice.stream(cursor) as resumed:
        for stream in (afresh, resumed):
            assert titles(await stream.until_events(2)) == ["own", "shared"]


async def test_a_stream_cut_among_its_first_unread_begins_with_them_anew(
    sender: Sender, alice: Inbox
):
    """Some in between were read, and left out: no event of them is a place to go on from."""
    names = [(await sender.send(str(n), *(["alice"] * (n % 2))))[0] for n in range(6)]
    await alice.read(ids=[names[2]])
    async with alice.stream() as stream:
        await stream.until_events(5)
        *first, last = [frame.id for frame in stream.frames]
    async with alice.stream(first[-1]) as again, alice.stream(last) as behind:
        assert titles(await again.until_events(5)) == ["0", "1", "3", "4", "5"]
        await sender.send("live")
        assert titles(await behind.until_events(1)) == ["live"]


async def test_a_buffered_answer_brings_the_unread_and_ends(upstash: UpstashServer, sender: Sender):
    """The same frames where nothing can be held; the next one goes on behind them."""
    await sender.send("own", "alice")
    await sender.send("shared")
    async with running(settings_for(upstash), window(0.2)) as buffered:
        inbox = Inbox(buffered, "alice")
        first = await inbox.stream().until_end()
        await sender.send("later")
        second = await inbox.stream(first.cursor).until_end()
        await inbox.http.aclose()

    assert titles(first.events) == ["own", "shared"]
    assert titles(second.events) == ["later"]
    assert first.bye["reason"] == "deadline"


async def test_a_cursor_of_one_topic_begins_anew_too(sender: Sender, alice: Inbox):
    """What another device has read since stands on the other topic."""
    async with alice.client.stream(["public:notifications"]) as stream:
        cursor = stream.cursor
    (name,) = await sender.send("read elsewhere")
    await sender.send("unread")
    await alice.read(ids=[name])
    async with alice.stream(cursor) as stream, alice.stream(cursor, unread=0) as behind:
        assert titles(await stream.until_events(1)) == ["unread"]
        # Who wants no past goes on as on any stream.
        assert titles(await behind.until_events(2)) == ["read elsewhere", "unread"]


async def test_history_and_live_have_no_hole_and_no_double_while_others_send(
    sender: Sender, alice: Inbox, upstash: UpstashServer
):
    """Whoever connects in the middle has each notification once, on both topics."""
    go_on = True
    sent: list[str] = []

    async def send(*users: str) -> None:
        while go_on:
            sent.extend(await sender.send("t", *users))

    async with running(settings_for(upstash)) as other:
        elsewhere = Inbox(other, "alice")
        sending = [asyncio.create_task(send("alice")), asyncio.create_task(send())]
        streams: list[Stream] = []
        for number in range(12):
            streams.append((alice, elsewhere)[number % 2].stream(unread=100))
            await streams[-1].until_events(2)
        go_on = False
        await asyncio.gather(*sending)
        for stream in streams:
            names = [name_of(event) for event in await stream.until_events(len(sent))]
            assert len(names) == len(set(names))
            assert set(names) == set(sent)
            await stream.close()
        await elsewhere.http.aclose()


async def test_the_general_stream_of_both_topics_goes_on_with_the_same_cursor(
    sender: Sender, alice: Inbox
):
    """It is the same log; the feature adds how it begins."""
    async with alice.stream() as stream:
        cursor = stream.cursor
    await sender.send("own", "alice")
    topics = ["user:alice:notifications", "public:notifications"]
    async with alice.client.stream(topics, cursor) as stream:
        assert titles(await stream.until_events(1)) == ["own"]


async def test_a_stream_of_notifications_needs_no_more_than_to_be_signed_in(instance: Instance):
    """Without that, 401."""
    inbox = Inbox(instance, "alice")
    inbox.http.headers.pop("Authorization")
    for method, path in (("GET", ""), ("GET", "/unread"), ("GET", "/stream"), ("POST", "/read")):
        answer = await inbox.http.request(method, URL + path)
        assert answer.status_code == 401
    await inbox.http.aclose()
