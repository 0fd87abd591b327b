"""The queue of jobs where Redis is the queue: a stream with one group of all workers.

An entry is pending with the worker that got it, and heartbeats keep it there; after a time without
heartbeats another worker claims it. Jobs that are due later wait in a sorted set. Redis over REST
has no blocking reads, so an idle worker asks again after pauses that grow.
"""

import asyncio
import math
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import structlog

from api.events import JITTER, Pace, xadd
from api.jobs.model.job import JobId, find_job_id
from api.jobs.model.queue import Delivery, take_or_give_back
from api.jobs.store import layout
from api.upstash import Command, Refused, Script, UpstashClient

# KEYS[1] is the stream. ARGV: group, idle ms after which a worker without entries is forgotten.
PREPARE_GROUP = Script(
    """
local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
if made.err and not string.find(made.err, 'BUSYGROUP', 1, true) then return made end
local forgotten = 0
for _, pairs in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local of = {}
  for at = 1, #pairs, 2 do of[pairs[at]] = pairs[at + 1] end
  -- With entries pending they would be lost with it.
  if of.pending == 0 and of.idle > tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], of.name)
    forgotten = forgotten + 1
  end
end
return forgotten
""",
    calls=lambda forgotten: ["XGROUP", "XINFO", *["XGROUP"] * forgotten],
)

# KEYS: the delayed, the stream. ARGV: now in ms, how many at most, the stream's field.
# The result is how many were moved.
MOVE_DUE = Script(
    """
local due = redis.call('ZRANGE', KEYS[1], '-inf', ARGV[1], 'BYSCORE', 'LIMIT', 0, ARGV[2])
for _, job in ipairs(due) do
  redis.call('XADD', KEYS[2], '*', ARGV[3], job)
  redis.call('ZREM', KEYS[1], job)
end
return #due
""",
    calls=lambda moved: ["ZRANGE", *["XADD", "ZREM"] * moved],
)


GROUP = "workers"
FORGET_CONSUMER_MS = 86_400_000  # a day
DEAD_KEPT = 10_000  # entries
# In leases. Longer than one, because a worker renews both at the same time: whoever gets the entry
# of a dead worker must find that its lease has ended.
OUTLIVES_LEASE = 1.25
LOOK_FOR_DUE = 5  # in idle pauses: for what other processes have delayed
DUE_AT_ONCE = 100

log = structlog.get_logger()


class RedisQueue:
    """The `JobQueue` on Redis. Each object is one worker of the group, named by `new_id`.

    `awake` is set by whoever in this process puts a job into the queue: then it asks at once.
    `clock` gives seconds since 1970, by which all processes agree on when a job is due. Pauses are
    measured by `monotonic`. An entry is taken from a worker that sent no heartbeat for 1.25 times
    `lease_s`.
    """

    def __init__(
        self,
        redis: UpstashClient,
        *,
        lease_s: float,
        pace: Pace,
        awake: asyncio.Event,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        rng: random.Random,
        new_id: Callable[[], str],
    ) -> None:
        self._redis = redis
        self._dead_after_s = lease_s * OUTLIVES_LEASE
        self._pace = pace
        self._clock = clock
        self._monotonic = monotonic
        self._rng = rng
        self._new_id = new_id
        self._pace.quicken()
        self._consumer: str | None = None
        self._ask_at = self._reclaim_at = self._look_at = 0.0
        self._due_at = math.inf
        self._awake = awake

    async def enqueue(self, job_id: JobId, *, delay_s: float = 0) -> None:
        """Add the job to the stream, or to the sorted set if it is due in `delay_s` seconds."""
        await self._redis.write(*self._put(job_id, delay_s), repeatable=True)
        self._awake.set()

    async def claim(self, limit: int, *, wait_s: float) -> Sequence[Delivery]:
        """Return up to `limit` deliveries; wait up to `wait_s` seconds for the first.

        With `wait_s` 0 it asks Redis once. When cancelled, it gives back what it has received.
        """
        until = self._monotonic() + wait_s
        while wait_s <= 0 or await self._is_time(until):
            if self._awake.is_set():
                self._awake.clear()
                self._pace.quicken()
            if found := await take_or_give_back(self._take(limit), self._give_back):
                self._pace.quicken()
                self._ask_at = self._monotonic()  # there may be more
                return found
            pause = self._pace.after(news=False, has_doorbell=False)
            self._ask_at = self._monotonic() + pause * self._rng.uniform(1 - JITTER, 1 + JITTER)
            if wait_s <= 0:
                break
        return []

    async def heartbeat(self, delivery: Delivery, *, lease_s: float) -> None:  # noqa: ARG002
        """Set the entry's idle time to 0. `lease_s` has no effect: all entries have one limit."""
        await self._redis.write(
            *("XCLAIM", layout.QUEUE, GROUP, self._name(), 0, delivery.receipt, "JUSTID"),
            repeatable=True,
        )

    async def release(self, delivery: Delivery, *, delay_s: float) -> None:
        """Replace the entry by a new one, which is due in `delay_s` seconds."""
        await self._replace(delivery, self._put(delivery.job_id, delay_s))
        self._awake.set()

    async def done(self, delivery: Delivery) -> None:
        """Delete the entry."""
        await self._replace(delivery)

    async def to_dead_letters(self, delivery: Delivery) -> None:
        """Move the entry to the dead letters, a stream that keeps about `DEAD_KEPT` of them."""
        await self._replace(delivery, _dead_letter(delivery.job_id))

    async def _take(self, limit: int) -> list[Delivery]:
        try:
            if self._consumer is None:
                await self._prepare_group()
            found = await self._of_dead_workers(limit)
            await self._move_due()
            if len(found) < limit:
                found += await self._new(limit - len(found))
        except Refused as error:
            if error.kind != "NOGROUP":
                raise
            self._consumer = None  # the database was emptied
            return []
        return found

    async def _prepare_group(self) -> None:
        await self._redis.script(
            PREPARE_GROUP, keys=[layout.QUEUE], args=[GROUP, FORGET_CONSUMER_MS], repeatable=True
        )
        self._name()

    async def _new(self, limit: int) -> list[Delivery]:
        reply = await self._redis.write(
            *("XREADGROUP", "GROUP", GROUP, self._name(), "COUNT", limit),
            *("STREAMS", layout.QUEUE, ">"),
        )
        entries = reply[0][1] if reply else []
        return await self._deliveries(entries, {})

    async def _of_dead_workers(self, limit: int) -> list[Delivery]:
        """Claim the entries that had no heartbeat for too long. Asks Redis at intervals."""
        now, idle_ms = self._monotonic(), int(self._dead_after_s * 1000)
        if now < self._reclaim_at:
            return []
        stale = await self._redis.read(
            "XPENDING", layout.QUEUE, GROUP, "IDLE", idle_ms, "-", "+", limit
        )
        if len(stale) < limit:
            self._reclaim_at = now + self._dead_after_s * self._rng.uniform(0.25, 0.5)
        if not stale:
            return []
        entries = await self._redis.write(
            *("XCLAIM", layout.QUEUE, GROUP, self._name(), idle_ms),
            *(entry_id for entry_id, *_ in stale),
        )
        return await self._deliveries(entries, {one[0]: one[3] + 1 for one in stale})

    async def _deliveries(self, entries: Sequence[Any], receives: dict[str, int]) -> list[Delivery]:
        """Return the entries as deliveries; one without a job id goes to the dead letters."""
        found = []
        for entry_id, fields in filter(None, entries):
            text = dict(zip(fields[::2], fields[1::2], strict=True)).get(layout.QUEUE_FIELD, "")
            job_id = find_job_id(text)
            delivery = Delivery(job_id or JobId(text[:64]), entry_id, receives.get(entry_id, 1))
            if job_id is None:
                log.warning("queue.foreign_entry", entry_id=entry_id)
                await self.to_dead_letters(delivery)
            else:
                found.append(delivery)
        return found

    async def _move_due(self) -> None:
        """Queue the jobs that are due. Asks Redis at intervals: other processes delay jobs too."""
        now = self._monotonic()
        if now < min(self._look_at, self._due_at):
            return
        self._look_at, self._due_at = now + LOOK_FOR_DUE * self._pace.longest_s, math.inf
        first = await self._redis.read("ZRANGE", layout.DELAYED, 0, 0, "WITHSCORES")
        if not first:
            return
        at = self._clock()
        if (left_s := float(first[0][1]) / 1000 - at) > 0:
            self._due_at = now + left_s
            return
        moved: int = await self._redis.script(
            MOVE_DUE,
            keys=[layout.DELAYED, layout.QUEUE],
            args=[int(at * 1000), DUE_AT_ONCE, layout.QUEUE_FIELD],
            repeatable=True,
        )
        if moved:
            self._look_at = now  # there may be more

    async def _replace(self, delivery: Delivery, *others: Command) -> None:
        """Delete the entry from the queue, after `others` have stored what replaces it."""
        ended: list[Command] = [
            ("XACK", layout.QUEUE, GROUP, delivery.receipt),
            ("XDEL", layout.QUEUE, delivery.receipt),
        ]
        # If the reply is lost this runs twice, and may queue the job twice. That is harmless,
        # because only one worker gets the lease.
        for result in await self._redis.transaction([*others, *ended], repeatable=True):
            if isinstance(result, Exception):
                raise result

    async def _give_back(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            await self.release(delivery, delay_s=0)

    def _put(self, job_id: JobId, delay_s: float) -> Command:
        if delay_s <= 0:
            return ("XADD", layout.QUEUE, "*", layout.QUEUE_FIELD, job_id)
        self._due_at = min(self._due_at, self._monotonic() + delay_s)
        return ("ZADD", layout.DELAYED, int((self._clock() + delay_s) * 1000), job_id)

    def _name(self) -> str:
        # Not in __init__: a snapshot of a started function is restored many times, and all would
        # have one name.
        self._consumer = self._consumer or self._new_id()
        return self._consumer

    async def _is_time(self, until: float) -> bool:
        """Wait until Redis is to be asked again; False if `until` comes first.

        The pauses go on growing from one claim to the next.
        """
        ask_at = min(self._ask_at, self._due_at)
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, min(ask_at, until) - self._monotonic())):
                await self._awake.wait()
        return self._awake.is_set() or ask_at <= until


def _dead_letter(job_id: JobId) -> Command:
    return xadd(layout.DEAD, layout.QUEUE_FIELD, job_id, keep=DEAD_KEPT)
