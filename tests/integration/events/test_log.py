"""The durable log: every position is the id of an entry, and a gap is always told."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import pytest

from api.events.event import MAX_PART, EventId
from api.events.log.idempotency import Stored
from api.events.log.page import ANSWER_BYTES, TOPIC_BYTES, LogPage
from api.events.log.retention import Retention, Retentions
from api.events.log.topic_log import REFRESHED_TOPICS, TopicLog
from api.events.reasons import ResetReason
from api.events.topic import TopicName, log_key
from api.security.patterns import TopicPattern
from api.telemetry.meter import CommandMeter
from api.upstash import RedisError, Script, TooLarge, UpstashClient, WrongType
from api.upstash.errors import classify
from tests.integration.events.conftest import KEEP, put, put_at
from tests.support.upstash_server import UpstashServer
from tests.unit.security.support import FakeClock

A, B, C = TopicName("public:a"), TopicName("public:b"), TopicName("public:c")
MB = 1_000_000


class BeforePlus(UpstashClient):
    """A server before Redis 7.4, which does not know `XREAD ... +`."""

    refused = 0

    async def read(self, *command: str | float) -> Any:
        if command[0] == "XREAD" and "+" in command:
            self.refused += 1
            raise classify("ERR Invalid stream ID specified as stream command argument", 400)
        return await super().read(*command)


def at(ms: int, seq: int = 0) -> EventId:
    return EventId(ms, seq)


def ids(page: LogPage) -> list[int]:
    return [event.id.ms for event in page.events]


# Heads


async def test_a_new_topic_gets_an_entry_to_stand_on(
    log: TopicLog, redis: UpstashClient, upstash: UpstashServer
):
    """It lives as long as an event would, and costs two commands once."""
    heads = await log.heads([A])

    assert upstash.meter().commands == {"XREAD": 1, "XADD": 1, "EXPIRE": 1}
    assert await log.heads([A]) == heads
    assert 0 < await redis.read("TTL", log_key(A)) <= KEEP.ttl_s


async def test_the_entry_to_stand_on_is_never_delivered(log: TopicLog):
    """Neither to a stream nor as history."""
    (head,) = (await log.heads([A])).values()
    (event_id,) = await put(log, A, 1)

    page = (await log.read_after({A: EventId(0, 1)}, limit=10, anchored=()))[A]
    assert page.gap is ResetReason.TRIMMED
    page = (await log.read_after({A: head}, limit=10))[A]
    assert [event.id for event in page.events] == [event_id]
    assert [event.id for event in (await log.newest([A], limit=10))[A].events] == [event_id]


async def test_the_heads_of_many_used_topics_are_one_command(
    log: TopicLog, redis: UpstashClient, upstash: UpstashServer
):
    """The head of a topic is its newest entry."""
    topics = [TopicName(f"t:{n}") for n in range(50)]
    for number, topic in enumerate(topics, start=1):
        await put_at(redis, topic, 1, number + 1)
    upstash.reset_meter()

    heads = await log.heads(topics)

    assert heads == {topic: at(number + 2) for number, topic in enumerate(topics)}
    assert upstash.meter().commands == {"XREAD": 1}


async def test_no_topics_have_no_heads_and_no_cost(log: TopicLog, upstash: UpstashServer):
    """Redis would refuse a command without a key."""
    assert await log.heads([]) == {}
    assert upstash.meter().billed == 0


@pytest.mark.parametrize("count", [1, 3])
async def test_a_server_that_does_not_know_plus_is_asked_another_way(
    count: int, upstash: UpstashServer, meter: CommandMeter, clock: FakeClock
):
    """The log learns it once, and the heads are the same."""
    old = BeforePlus(upstash.url, upstash.token, timeout_s=5, meter=meter)
    log = TopicLog(old, Retentions(KEEP), clock)
    topics = [A, B, C][:count]
    for topic in topics[1:]:
        await put_at(old, topic, 5, 6)

    heads = await log.heads(topics)
    again = await log.heads(topics)

    assert again == heads
    assert all(heads[topic] == at(6) for topic in topics[1:])
    assert heads[A] > at(0)
    assert old.refused == 1
    assert upstash.meter().commands["XREVRANGE"] == 2 * count
    await old.close()


async def test_another_refusal_is_not_taken_for_an_old_server(
    log: TopicLog, redis: UpstashClient, upstash: UpstashServer
):
    """A key of another type must not change how all others are read."""
    await redis.write("SET", log_key(A), "not a stream")

    with pytest.raises(WrongType):
        await log.heads([A])

    await redis.write("DEL", log_key(A))
    upstash.reset_meter()
    await log.heads([A])
    assert "XREVRANGE" not in upstash.meter().commands


async def test_processes_that_found_a_topic_together_all_stand_well(
    redis: UpstashClient, log: TopicLog, clock: FakeClock
):
    """Each has its own genesis entry; the one with the lower id reads over the other."""
    logs = [TopicLog(redis, Retentions(KEEP), clock) for _ in range(8)]
    heads = [found[A] for found in await asyncio.gather(*(one.heads([A]) for one in logs))]
    (event_id,) = await put(log, A, 1)

    for head in heads:
        page = (await log.read_after({A: head}, limit=20))[A]
        assert page.gap is None
        assert [event.id for event in page.events] == [event_id]


async def test_a_genesis_that_fails_is_an_error(log: TopicLog, redis: UpstashClient):
    """A reader without a position would miss what comes."""
    await redis.write("XADD", log_key(A), f"{MAX_PART}-{MAX_PART}", "e", "{}")
    await redis.write("XTRIM", log_key(A), "MAXLEN", 0)

    with pytest.raises(RedisError):  # no id is left above the last one
        await log.heads([A])


# Reading


@pytest.mark.parametrize("anchored", [None, ()])
async def test_a_page_is_the_exact_suffix_or_a_gap(
    anchored: tuple[TopicName, ...] | None, log: TopicLog, redis: UpstashClient
):
    """For every trim and position, on an entry or between two, anchored or not."""
    entries = [2, 4, 6, 8]
    for keep, start in itertools.product(range(5), range(1, 10)):
        await redis.write("DEL", log_key(A))
        await put_at(redis, A, *entries)
        await redis.write("XTRIM", log_key(A), "MAXLEN", keep)
        held = entries[len(entries) - keep :]

        page = (await log.read_after({A: at(start)}, limit=10, anchored=anchored)).get(A)

        news = [one for one in held if one > start]
        if start in held:
            assert page is None if anchored == () and not news else page and ids(page) == news
        elif page is None:
            assert anchored == ()
            assert not news
        else:
            assert page.gap is (ResetReason.TRIMMED if news else ResetReason.EXPIRED)
            assert (page.events, page.end) == ((), at(start))


@pytest.mark.parametrize("anchored", [None, ()])
async def test_pages_follow_each_other_without_hole_or_repeat(
    anchored: tuple[TopicName, ...] | None, log: TopicLog, redis: UpstashClient
):
    """`more` is true for all but the last one."""
    await put_at(redis, A, *range(1, 12))
    position = at(1)
    read: list[int] = []
    for _ in range(20):
        page = (await log.read_after({A: position}, limit=3, anchored=anchored))[A]
        assert page.start == position
        read += ids(page)
        position = page.end
        if not page.more:
            break

    assert read == list(range(2, 12))
    assert position == at(11)


async def test_a_topic_that_is_gone_is_expired(log: TopicLog, redis: UpstashClient):
    """Whether the key was deleted or all its entries trimmed away."""
    await put_at(redis, A, 1, 2)
    await put_at(redis, B, 1, 2)
    await redis.write("DEL", log_key(A))
    await redis.write("XTRIM", log_key(B), "MAXLEN", 0)

    pages = await log.read_after({A: at(2), B: at(2)}, limit=10)

    assert {page.gap for page in pages.values()} == {ResetReason.EXPIRED}


async def test_a_position_of_zero_is_a_gap(log: TopicLog, redis: UpstashClient):
    """No entry can have that id."""
    await put_at(redis, A, 1)

    assert (await log.read_after({A: at(0)}, limit=10))[A].gap is ResetReason.TRIMMED


async def test_foreign_entries_are_passed_but_not_delivered(log: TopicLog, redis: UpstashClient):
    """With other fields, other JSON or no JSON: the position moves over them."""
    await put_at(redis, A, 1, 2)
    for number, fields in enumerate([("x", "1"), ("e", "no json"), ("e", "[]"), ("e", "{}")]):
        await redis.write("XADD", log_key(A), f"{number + 3}-0", *fields)

    page = (await log.read_after({A: at(1)}, limit=10))[A]

    assert (ids(page), page.end, page.gap) == ([2], at(6), None)
    assert (await log.read_after({A: page.end}, limit=10))[A].events == []


async def test_a_cold_topic_costs_nothing_until_it_speaks(
    log: TopicLog, redis: UpstashClient, upstash: UpstashServer
):
    """Then one more command proves that nothing is gone."""
    await put_at(redis, A, 1)
    await put_at(redis, B, 1)
    upstash.reset_meter()

    silent = await log.read_after({A: at(1), B: at(1)}, limit=10, anchored=())
    assert (silent, upstash.meter().commands) == ({}, {"XREAD": 1})

    await put_at(redis, B, 2)
    upstash.reset_meter()
    spoken = await log.read_after({A: at(1), B: at(1)}, limit=10, anchored=())
    assert list(spoken) == [B]
    assert upstash.meter().commands == {"XREAD": 2}


# Large replies


@pytest.mark.parametrize("anchored", [None, ()])
async def test_a_reply_that_is_too_large_is_read_in_smaller_ones(
    anchored: tuple[TopicName, ...] | None, log: TopicLog, redis: UpstashClient
):
    """Fewer events at once, until it fits; each exactly once."""
    await put_at(redis, A, 1)
    await put_at(redis, A, *range(2, 16), size=MB)
    position = at(1)
    read: list[int] = []
    while len(read) < 14:
        page = (await log.read_after({A: position}, limit=100, anchored=anchored))[A]
        assert page.events
        read += ids(page)
        position = page.end

    assert read == list(range(2, 16))


async def test_many_large_topics_are_read_in_halves(log: TopicLog, redis: UpstashClient):
    """One event of each may be too much already."""
    topics = [TopicName(f"t:{n}") for n in range(12)]
    for topic in topics:
        await put_at(redis, topic, 1, 2, size=MB)

    pages = await log.read_after(dict.fromkeys(topics, at(1)), limit=100)

    assert {topic: ids(page) for topic, page in pages.items()} == {key: [2] for key in topics}


async def test_an_event_that_never_fits_is_an_error(log: TopicLog, redis: UpstashClient):
    """We have not stored it, and a reply cannot be split further."""
    await put_at(redis, A, 1, 2, size=6 * MB)

    with pytest.raises(TooLarge):
        await log.read_after({A: at(1)}, limit=100)


# Going on after a gap


async def test_after_a_gap_reading_goes_on_at_the_head(log: TopicLog, redis: UpstashClient):
    """Each topic has its own reason."""
    await put_at(redis, A, 1, 2, 3)
    await redis.write("XTRIM", log_key(A), "MAXLEN", 1)
    gaps = await log.read_after({A: at(1), B: at(7), C: at(MAX_PART, MAX_PART)}, limit=10)

    restarts = await log.restart(gaps)

    assert restarts[A] == (at(3), ResetReason.TRIMMED)
    assert restarts[B][1] is ResetReason.EXPIRED
    assert restarts[C][1] is ResetReason.UNKNOWN
    pages = await log.read_after({t: head for t, (head, _) in restarts.items()}, limit=10)
    assert not any(page.gap or page.events for page in pages.values())


async def test_a_replica_that_lags_is_no_gap(
    log: TopicLog, upstash: UpstashServer, redis: UpstashClient
):
    """It does not hold yet what another process has read; a moment later it does."""
    await put_at(redis, A, 1, 2, 3)
    gaps = await log.read_after({A: at(5)}, limit=10)
    assert gaps[A].gap is ResetReason.EXPIRED
    upstash.reset_meter()
    restarting = asyncio.create_task(log.restart(gaps))
    async with asyncio.timeout(5):
        while not upstash.meter().billed:
            await asyncio.sleep(0)
    await put_at(redis, A, 5)

    assert await restarting == {}
    assert (await log.read_after({A: at(5)}, limit=10))[A].gap is None


# History


async def test_history_pages_stay_right_while_events_are_added(log: TopicLog):
    """Pages are cut by ids, so new events do not move the old ones."""
    old = await put(log, A, *range(25))
    before: dict[TopicName, EventId] = {}
    seen: list[EventId] = []
    while True:
        page = (await log.newest([A], limit=10, before=before))[A]
        seen = [event.id for event in page.events] + seen
        await put(log, A, "more")
        if not page.more:
            break
        before = {A: page.events[0].id}

    assert seen == old


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5])
async def test_the_newest_are_exactly_those_asked_for(count: int, log: TopicLog):
    """Oldest first, and without the genesis entry."""
    await log.heads([A])
    stored = await put(log, A, *range(count))

    page = (await log.newest([A], limit=3))[A]

    assert [event.id for event in page.events] == stored[-3:]
    assert page.more == (count > 3)
    assert page.end >= (stored or [EventId(0, 0)])[-1]


async def test_the_newest_are_found_behind_entries_that_are_no_events(
    log: TopicLog, redis: UpstashClient
):
    """Several processes may each have written a genesis entry above the first event."""
    await put_at(redis, A, 1)
    for number in range(2, 6):
        await redis.write("XADD", log_key(A), f"{number}-0", "genesis", "1")
    await put_at(redis, A, 6)

    newest = (await log.newest([A], limit=2))[A]
    page = (await log.newest([A], limit=1))[A]

    assert (ids(newest), newest.more) == ([1, 6], False)
    assert (ids(page), page.more) == ([6], True)


async def test_a_large_event_behind_which_nothing_was_read_may_have_older_ones(
    log: TopicLog, redis: UpstashClient
):
    """It fills the share of its topic, and below it only a genesis entry was read."""
    await put_at(redis, A, 1, 2)
    for number in range(3, 6):
        await redis.write("XADD", log_key(A), f"{number}-0", "genesis", "1")
    await put_at(redis, A, 6, size=TOPIC_BYTES)
    topics = [A, *(TopicName(f"public:other:{number}") for number in range(30))]

    page = (await log.newest(topics, limit=10, max_bytes=ANSWER_BYTES))[A]

    assert (ids(page), page.more) == ([6], True)


async def test_a_topic_that_was_never_used_has_no_newest(log: TopicLog, redis: UpstashClient):
    """To ask for it writes nothing."""
    assert await log.newest([A, B], limit=3) == {}
    assert await redis.read("EXISTS", log_key(A)) == 0


async def test_a_history_that_is_too_large_is_read_in_smaller_replies(
    log: TopicLog, redis: UpstashClient
):
    """100 events of 64 kB on two topics are more than Upstash sends at once."""
    for topic in [A, B]:
        await put_at(redis, topic, *range(1, 91), size=65_000)

    pages = await log.newest([A, B], limit=100)

    assert {len(page.events) for page in pages.values()} == {90}


async def test_a_topic_whose_history_is_too_large_is_read_in_smaller_replies(
    log: TopicLog, redis: UpstashClient
):
    """Fewer events at once, until it fits; each exactly once."""
    await put_at(redis, A, *range(1, 15), size=MB)

    newest = (await log.newest([A], limit=12))[A]
    everything = (await log.newest([A], limit=100))[A]

    assert (ids(newest), newest.more) == (list(range(3, 15)), True)
    assert (ids(everything), everything.more) == (list(range(1, 15)), False)


async def test_a_history_of_an_event_that_never_fits_is_an_error(
    log: TopicLog, redis: UpstashClient
):
    """We have not stored it, as no request can carry it; the splitting ends."""
    source = "return redis.call('XADD', KEYS[1], '*', 'e', string.rep('x', tonumber(ARGV[1])))"
    await redis.script(Script(source, lambda _: ("XADD",)), keys=[log_key(A)], args=[11 * MB])

    with pytest.raises(TooLarge):
        await log.newest([A], limit=10)


# Writing


async def test_an_item_that_fails_leaves_the_others_stored(log: TopicLog, redis: UpstashClient):
    """The error is in its place of the result."""
    await redis.write("SET", log_key(B), "not a stream")

    one, two, three = await log.append([(A, "{}"), (B, "{}"), (C, "{}")])

    assert isinstance(one, EventId)
    assert isinstance(two, WrongType)
    assert isinstance(three, EventId)


async def test_a_topic_keeps_about_as_much_as_it_should(redis: UpstashClient, clock: FakeClock):
    """The newest N or more, by less than one block of Redis."""
    keep = Retention(max_events=100, ttl_s=60, idempotency_ttl_s=60)
    log = TopicLog(redis, Retentions(keep), clock)
    await log.append([(A, '{"type":"t"}')] * 350)

    assert 100 <= await redis.read("XLEN", log_key(A)) < 200
    assert 0 < await redis.read("TTL", log_key(A)) <= 60


async def test_a_ttl_is_refreshed_when_a_quarter_has_passed(
    log: TopicLog, clock: FakeClock, upstash: UpstashServer
):
    """So a publish is normally one billed command."""
    await put(log, A, 1)
    upstash.reset_meter()
    clock.advance(KEEP.ttl_s / 4)
    await put(log, A, 2)
    early = upstash.meter().commands
    clock.advance(1)
    await put(log, A, 3)

    assert early == {"XADD": 1}
    assert upstash.meter().commands == {"XADD": 2, "EXPIRE": 1}


async def test_a_refresh_that_failed_is_made_up_for(log: TopicLog, upstash: UpstashServer):
    """Else a topic might expire while events still come."""
    upstash.faults(quota=-1)
    with pytest.raises(RedisError):
        await put(log, A, 1)
    upstash.clear_faults()
    await put(log, A, 2)

    assert upstash.meter().commands == {"XADD": 1, "EXPIRE": 1}


async def test_what_is_remembered_of_refreshes_is_bounded(log: TopicLog, upstash: UpstashServer):
    """A process that publishes to a million topics forgets the oldest."""
    log._note_refreshed([TopicName(f"t:{n}") for n in range(REFRESHED_TOPICS + 1)])
    await put(log, "t:1", 1)
    await put(log, "t:0", 1)

    assert len(log._refreshed) == REFRESHED_TOPICS
    assert upstash.meter().commands == {"XADD": 2, "EXPIRE": 1}


async def test_storing_once_stores_once(log: TopicLog, redis: UpstashClient):
    """However many try at the same time, all get the same id."""
    results = await asyncio.gather(
        *(log.append_once([(A, '{"type":"t"}')], key="k", fingerprint="f") for _ in range(50))
    )

    assert await redis.read("XLEN", log_key(A)) == 1
    assert len({one.ids for one in results}) == 1
    assert sorted(one.replayed for one in results) == [False] + [True] * 49


async def test_storing_once_again_tells_what_was_stored(log: TopicLog):
    """The caller then compares the fingerprints."""
    first = await log.append_once([(A, '{"type":"t"}')], key="k", fingerprint="one")
    second = await log.append_once([(A, '{"type":"u"}')], key="k", fingerprint="two")

    assert second == Stored(first.ids, "one", replayed=True)


async def test_storing_several_once_stores_all_of_them_or_none(
    log: TopicLog, redis: UpstashClient, upstash: UpstashServer
):
    """One event on each topic; a repeat has the same ids and costs two commands."""
    entries = [(topic, '{"type":"t"}') for topic in (A, B, C)]
    first = await log.append_once(entries, key="k", fingerprint="f")
    bill = upstash.meter().commands
    upstash.reset_meter()
    second = await log.append_once(entries, key="k", fingerprint="f")

    assert bill == {"EVAL": 1, "GET": 1, "XADD": 3, "EXPIRE": 3, "SET": 1}
    assert upstash.meter().commands == {"EVAL": 1, "GET": 1}
    assert (second.ids, second.replayed) == (first.ids, True)
    assert [await redis.read("XLEN", log_key(topic)) for topic in (A, B, C)] == [1, 1, 1]


async def test_a_topic_may_keep_more_or_less_than_the_usual(redis: UpstashClient, clock: FakeClock):
    """The first pattern that matches decides, for every way of writing to the topic."""
    own = Retention(max_events=5, ttl_s=90_000, idempotency_ttl_s=60)
    retentions = Retentions(KEEP, {TopicPattern.parse("feed:*"): own})
    log, feed, other = TopicLog(redis, retentions, clock), TopicName("feed:a"), TopicName("feed")
    await log.append([(topic, '{"type":"t"}') for topic in (feed, other) for _ in range(250)])
    await log.append_once([(TopicName("feed:b"), "{}")], key="k", fingerprint="f")
    await log.heads([TopicName("feed:c")])

    assert await redis.read("XLEN", log_key(feed)) < 110
    assert await redis.read("XLEN", log_key(other)) == 250
    for name in ("feed:a", "feed:b", "feed:c"):
        assert await redis.read("TTL", log_key(TopicName(name))) > KEEP.ttl_s
