"""Connection leases against the store: the cap holds, ghosts go, idling is cheap."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from api.problems import BadRequest, OverConnectionLimit
from api.security import leases as module
from api.security.leases import PROCESSES, ConnectionLimiter, Lease
from api.telemetry.meter import CommandMeter
from api.upstash import UpstashClient
from tests.support.upstash_server import UpstashServer
from tests.unit.security.support import FakeClock, counting_ids

USER_KEY = "millrace:leases:user:alice"
IP_KEY = "millrace:leases:ip:1.1.1.1"
IP = "1.1.1.1"

Make = Callable[..., ConnectionLimiter]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def process(redis: UpstashClient, clock: FakeClock) -> Make:
    """Makes the limiter of one more process; names count up."""
    names = counting_ids("process")

    def make(*, per_user: int = 0, per_ip: int = 0, **options: Any) -> ConnectionLimiter:
        name = names()
        return ConnectionLimiter(
            options.pop("redis", redis),
            per_user=per_user,
            per_ip=per_ip,
            stream_max_s=900,
            clock=clock,
            new_id=counting_ids(name),
            **options,
        )

    return make


async def granted(attempts: list[Awaitable[Lease]]) -> list[Lease]:
    """The leases of those attempts that were not refused."""
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    assert all(isinstance(outcome, Lease | OverConnectionLimit) for outcome in outcomes)
    return [outcome for outcome in outcomes if isinstance(outcome, Lease)]


async def test_of_20_concurrent_connections_five_get_the_five_slots(process: Make):
    """Over several processes too."""
    processes = [process(per_user=5) for _ in range(4)]

    leases = await granted([processes[n % 4].acquire("alice", IP, f"c{n}") for n in range(20)])

    assert len(leases) == 5
    assert sum(one.held for one in processes) == 5


async def test_of_20_users_of_one_address_five_get_the_five_slots(process: Make):
    """The address is limited whoever signs in."""
    one = process(per_ip=5)

    leases = await granted([one.acquire(f"user-{n}", IP, "same") for n in range(20)])

    assert len(leases) == 5


async def test_a_refusal_says_what_is_full_and_when_to_try(process: Make):
    """It takes no slot of the limit that was not full."""
    one = process(per_user=2, per_ip=1)
    await one.acquire("alice", IP, "a")

    with pytest.raises(OverConnectionLimit, match="address has 1 open") as caught:
        await one.acquire("alice", IP, "b")
    await one.acquire("alice", "2.2.2.2", "b")
    with pytest.raises(OverConnectionLimit, match="user has 2 open"):
        await one.acquire("alice", "3.3.3.3", "c")

    assert caught.value.headers["Retry-After"] == "30"


async def test_users_do_not_share_slots(process: Make):
    """One user's tabs do not lock out another."""
    one = process(per_user=1)

    await one.acquire("alice", IP, "a")
    await one.acquire("bob", IP, "a")


async def test_a_released_slot_is_free(process: Make, redis: UpstashClient):
    """Releasing twice is harmless, and nothing is left behind."""
    one = process(per_user=1, per_ip=1)
    lease = await one.acquire("alice", IP, "a")

    await one.release(lease)
    await one.release(lease)

    assert one.held == 0
    assert await redis.read("EXISTS", USER_KEY, IP_KEY) == 0
    await one.acquire("alice", IP, "b")


async def test_a_slot_of_a_dead_process_is_free_after_its_lease(process: Make, clock: FakeClock):
    """A killed function releases nothing: time does."""
    dead, alive = process(per_user=1), process(per_user=1)
    await dead.acquire("alice", IP, "a")

    clock.advance(90)
    with pytest.raises(OverConnectionLimit):
        await alive.acquire("alice", IP, "b")
    clock.advance(0.001)

    await alive.acquire("alice", IP, "b")


async def test_the_fields_of_dead_processes_are_dropped(
    process: Make, clock: FakeClock, redis: UpstashClient
):
    """Also many at once."""
    dead, alive = process(per_user=50), process(per_user=50)
    for number in range(50):
        await dead.acquire("alice", IP, f"c{number}")

    clock.advance(91)
    lease = await alive.acquire("alice", IP, "b")

    assert await redis.read("HKEYS", USER_KEY) == [lease.field]


async def test_a_renewed_process_keeps_its_slots(process: Make, clock: FakeClock):
    """As long as it lives."""
    one, other = process(per_user=1), process(per_user=1)
    await one.acquire("alice", IP, "a")

    for _ in range(10):
        clock.advance(60)
        await one.renew()
        with pytest.raises(OverConnectionLimit):
            await other.acquire("alice", IP, "b")


async def test_a_reconnecting_client_replaces_its_own_ghost(process: Make):
    """On whichever process it lands; nobody else gets the slot."""
    first, second = process(per_user=1, per_ip=1), process(per_user=1, per_ip=1)
    await first.acquire("alice", IP, "tab-1")

    await second.acquire("alice", IP, "tab-1")

    with pytest.raises(OverConnectionLimit):
        await first.acquire("alice", IP, "tab-2")


async def test_the_late_release_of_a_ghost_frees_nothing(process: Make):
    """The slot belongs to the connection that replaced it."""
    first, second = process(per_user=1), process(per_user=1)
    ghost = await first.acquire("alice", IP, "tab-1")
    await second.acquire("alice", IP, "tab-1")

    await first.release(ghost)

    with pytest.raises(OverConnectionLimit):
        await first.acquire("alice", IP, "tab-2")


async def test_one_conn_id_is_not_good_for_any_number_of_streams(process: Make):
    """Ghosts are bounded: somebody who never closes one is refused in the end."""
    processes = [process(per_user=5) for _ in range(3)]

    leases = await granted([processes[n % 3].acquire("alice", IP, "same") for n in range(40)])

    assert len(leases) == 10


async def test_nobody_frees_the_slot_of_another_user(process: Make):
    """The same `conn` of another user at the same address is another slot."""
    one = process(per_ip=1)
    await one.acquire("alice", IP, "tab")

    with pytest.raises(OverConnectionLimit):
        await one.acquire("bob", IP, "tab")


@pytest.mark.parametrize("conn", ["", "a:b", "a b", "*", "a" * 65, "tab\n"])
async def test_a_conn_id_cannot_reach_into_other_slots(process: Make, conn: str):
    """A colon in it would."""
    with pytest.raises(BadRequest, match="conn"):
        await process(per_user=1).acquire("alice", IP, conn)


async def test_without_limits_nothing_is_sent(process: Make, upstash: UpstashServer):
    """Limits of 0 cost nothing at all."""
    one = process()

    lease = await one.acquire("alice", IP, "a")
    await one.release(lease)

    assert one.held == 0
    assert upstash.meter().billed == 0


async def test_1000_connections_are_renewed_by_one_command(
    process: Make, clock: FakeClock, upstash: UpstashServer
):
    """Under 0.1 command a second, whatever the number of connections."""
    one = process(per_user=1000, per_ip=1000)
    for number in range(1000):
        await one.acquire(f"user-{number % 50}", IP, f"c{number}")
    assert one.held == 1000

    upstash.reset_meter()
    for _ in range(10):
        clock.advance(30)
        await one.renew()

    assert upstash.meter().commands == {"ZADD": 10}


async def test_our_meter_bills_a_lease_as_the_store_does(
    process: Make, clock: FakeClock, upstash: UpstashServer, meter: CommandMeter
):
    """Granted, refused, replaced, with dead processes: the counts agree."""
    one, other = process(per_user=1, per_ip=2), process(per_user=1, per_ip=2)
    lease = await one.acquire("alice", IP, "a")
    await granted([other.acquire("alice", IP, "a"), other.acquire("alice", IP, "b")])
    await one.release(lease)
    clock.advance(91)
    await one.acquire("alice", IP, "b")
    await one.renew()

    assert upstash.meter().commands == dict(meter.commands)


async def test_a_connection_in_a_container_costs_nine_commands_in_all(
    process: Make, upstash: UpstashServer
):
    """With both limits; the process is already registered and alone."""
    one = process(per_user=5, per_ip=5)
    await one.acquire("alice", IP, "a")
    upstash.reset_meter()

    await one.release(await one.acquire("alice", IP, "b"))

    assert upstash.meter().commands == {"EVAL": 1, "HGETALL": 2, "HSET": 2, "EXPIRE": 2, "HDEL": 2}


async def test_the_hashes_outlive_the_longest_stream_and_then_go(
    process: Make, redis: UpstashClient
):
    """Twice the longest life and ten minutes, for jitter."""
    await process(per_user=1, per_ip=1).acquire("alice", IP, "a")

    for key in (USER_KEY, IP_KEY):
        assert 2300 < await redis.read("TTL", key) <= 2400


async def test_processes_that_died_long_ago_are_forgotten(
    process: Make, clock: FakeClock, redis: UpstashClient
):
    """Not at once, because the clocks of hosts differ."""
    await process(per_user=9).acquire("alice", IP, "a")

    clock.advance(3600)
    await process(per_user=9).acquire("alice", IP, "b")
    assert await redis.read("ZCARD", PROCESSES) == 2
    clock.advance(91)
    await process(per_user=9).acquire("alice", IP, "c")

    assert await redis.read("ZCARD", PROCESSES) == 2


@pytest.mark.parametrize("by", ["renewal", "connection"])
async def test_a_process_that_overslept_records_its_connections_anew(
    process: Make, clock: FakeClock, redis: UpstashClient, by: str
):
    """Others took its slots for free; from then on they count again."""
    asleep, other = process(per_user=2, per_ip=9), process(per_user=2, per_ip=9)
    first = await asleep.acquire("alice", IP, "a")
    clock.advance(120)
    await other.acquire("alice", IP, "x")
    assert first.field not in await redis.read("HKEYS", USER_KEY)

    if by == "renewal":
        await asleep.renew()
    else:
        await asleep.acquire("bob", IP, "b")

    assert first.field in await redis.read("HKEYS", USER_KEY)
    assert first.field in await redis.read("HKEYS", IP_KEY)
    with pytest.raises(OverConnectionLimit):
        await other.acquire("alice", IP, "y")


async def test_limits_fail_open_and_are_counted(
    process: Make, upstash: UpstashServer, clock: FakeClock
):
    """A limit is not worth an outage; what was granted is recorded when the store is back."""
    one = process(per_user=1)
    upstash.faults(bad_gateway=-1)
    lease = await one.acquire("alice", IP, "a")
    assert one.failures == {"acquire": 1}
    assert one.held == 1

    await one.renew()
    assert one.failures == {"acquire": 1, "renew": 1}
    upstash.clear_faults()
    await one.renew()

    with pytest.raises(OverConnectionLimit):
        await one.acquire("alice", IP, "b")
    await one.release(lease)
    await one.acquire("alice", IP, "b")


async def test_one_connection_that_failed_open_is_recorded_by_the_next_renewal(
    process: Make, upstash: UpstashServer, redis: UpstashClient
):
    """Also in a process that is well otherwise; the others are not sent again."""
    one = process(per_user=5)
    await one.acquire("alice", IP, "a")
    upstash.faults(bad_gateway=-1)
    missing = await one.acquire("bob", IP, "b")
    upstash.clear_faults()
    upstash.reset_meter()

    await one.renew()
    await one.renew()

    assert upstash.meter().commands == {"ZADD": 2, "HSET": 1, "EXPIRE": 1}
    assert await redis.read("HKEYS", "millrace:leases:user:bob") == [missing.field]


async def test_limits_fail_open_when_nobody_is_there(process: Make):
    """A refused connection is like a missing answer."""
    nobody = UpstashClient("http://127.0.0.1:1", "t", timeout_s=1, meter=CommandMeter())
    one = process(per_user=1, redis=nobody)

    await one.acquire("alice", IP, "a")
    await one.acquire("alice", IP, "b")

    assert one.failures["acquire"] == 2
    assert one.held == 2
    await nobody.close()


async def test_a_silent_store_delays_a_stream_only_briefly(
    process: Make, upstash: UpstashServer, monkeypatch: pytest.MonkeyPatch
):
    """The wait for a slot is bounded apart from the client's own patience."""
    monkeypatch.setattr(module, "ACQUIRE_TIMEOUT_S", 0.05)
    one = process(per_user=1)
    upstash.faults(silent=1)

    async with asyncio.timeout(1):
        await one.acquire("alice", IP, "a")

    assert one.failures == {"acquire": 1}


async def test_a_lost_answer_does_not_cost_a_second_slot(process: Make, upstash: UpstashServer):
    """The repeated script knows its own connection."""
    one = process(per_user=1)
    for _ in range(5):
        await one.acquire("alice", IP, "a")
    upstash.faults(lose_replies=1)

    await one.acquire("alice", IP, "a")

    assert not one.failures
    with pytest.raises(OverConnectionLimit):
        await one.acquire("alice", IP, "a")


async def test_a_connection_cancelled_while_it_asks_leaves_no_slot(
    process: Make, upstash: UpstashServer, redis: UpstashClient
):
    """A client that hangs up at once may have been granted one."""
    one = process(per_user=1)
    upstash.faults(rtt_ms=1000)
    task = asyncio.create_task(one.acquire("alice", IP, "a"))
    while "EVAL" not in upstash.meter().commands:
        await asyncio.sleep(0.01)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    upstash.clear_faults()
    assert await redis.read("HLEN", USER_KEY) == 1
    await one.renew()

    assert one.held == 0
    assert await redis.read("HLEN", USER_KEY) == 0


async def test_a_release_that_failed_is_made_up_for(
    process: Make, upstash: UpstashServer, redis: UpstashClient
):
    """Or a living process would hold the slot for as long as it lives."""
    one = process(per_user=1)
    lease = await one.acquire("alice", IP, "a")
    upstash.faults(bad_gateway=-1)
    await one.release(lease)
    assert one.failures == {"release": 1}

    upstash.clear_faults()
    await one.renew()

    assert await redis.read("HLEN", USER_KEY) == 0


async def test_a_key_of_another_type_counts_as_a_failure(
    process: Make, redis: UpstashClient, clock: FakeClock
):
    """One bad item of the renewal is not taken for success."""
    one = process(per_user=1)
    await one.acquire("alice", IP, "a")
    await redis.write("SET", PROCESSES, "not a sorted set")

    await one.renew()

    assert one.failures == {"renew": 1}


async def test_a_connection_that_ends_while_it_is_recorded_leaves_no_slot(
    process: Make, upstash: UpstashServer, redis: UpstashClient
):
    """Whichever of the two reached the store last."""
    one = process(per_user=1)
    upstash.faults(bad_gateway=-1)
    lease = await one.acquire("alice", IP, "a")
    upstash.clear_faults()
    upstash.faults(rtt_ms=100)

    renewing = asyncio.create_task(one.renew())
    await asyncio.sleep(0.02)
    upstash.faults(rtt_ms=0)
    await one.release(lease)
    await renewing
    await one.renew()

    assert await redis.read("HLEN", USER_KEY) == 0


class Ticks:
    """A sleep that returns at once, `count` times, and then not any more."""

    def __init__(self, count: int) -> None:
        self.slept: list[float] = []
        self.done = asyncio.Event()
        self._count = count

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        if len(self.slept) > self._count:
            self.done.set()
            await asyncio.Event().wait()


async def run(one: ConnectionLimiter, ticks: Ticks) -> None:
    """Let the loop of `one` turn until its ticks are used up."""
    task = asyncio.create_task(one.run())
    await ticks.done.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_loop_renews_only_while_streams_are_open(process: Make, upstash: UpstashServer):
    """An idle process costs nothing."""
    ticks = Ticks(3)
    one = process(per_user=1, sleep=ticks, rng=random.Random(1))

    await run(one, ticks)
    assert upstash.meter().billed == 0

    await one.acquire("alice", IP, "a")
    upstash.reset_meter()
    again = Ticks(3)
    one._sleep = again
    await run(one, again)

    assert upstash.meter().commands == {"ZADD": 3}
    assert all(27 <= slept <= 33 for slept in ticks.slept)
    assert len(set(ticks.slept)) > 1


async def test_the_loop_survives_the_store(process: Make, upstash: UpstashServer):
    """It goes on as soon as the store does."""
    ticks = Ticks(3)
    one = process(per_user=1, sleep=ticks)
    await one.acquire("alice", IP, "a")
    upstash.faults(quota=6)
    upstash.reset_meter()

    await run(one, ticks)

    assert one.failures["renew"] == 2
    assert upstash.meter().commands["ZADD"] >= 1


async def test_the_name_of_a_process_is_made_with_its_first_lease(redis: UpstashClient):
    """A snapshot of a started function, restored many times, must not share one name."""
    asked: list[str] = []

    def new_id() -> str:
        asked.append("asked")
        return f"id-{len(asked)}"

    one = ConnectionLimiter(
        redis, per_user=1, per_ip=0, stream_max_s=1, clock=FakeClock(), new_id=new_id
    )

    assert asked == []
    await one.acquire("alice", IP, "a")
    assert len(asked) == 2
