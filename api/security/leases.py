"""Limits how many streams a user and an address may have open, over all processes.

A stream takes a lease and is not just counted, because a function that is killed counts nothing
down. A connection is a field in a hash of its user and of its address; the field names its process.
The process is one entry in a sorted set, with the end of its lease. So renewing is one command,
however many connections there are.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

import structlog

from api.problems import BadRequest, OverConnectionLimit
from api.security.lease_script import ACQUIRE
from api.security.patterns import is_segment
from api.upstash import Command, NoReply, RedisError, UpstashClient

PROCESSES = "millrace:leases:processes"
PROCESS_TTL_MS = 90_000
RENEW_S = 30.0
FORGET_MS = 3_600_000  # after the end of its lease, when a process is deleted
ACQUIRE_TIMEOUT_S = 2.0
RETRY_AFTER_S = 30

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class StreamLimit:
    """At most `most` open streams in the hash `key`; `of` is "user" or "address", for messages."""

    of: str
    key: str
    most: int


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of one open stream, which ends by itself unless the process renews it.

    `slot` is the user and the `conn` id, `nonce` is this one connection. Without `limits` nothing
    was recorded and nothing is given back.
    """

    slot: str
    nonce: str
    limits: tuple[StreamLimit, ...] = ()

    @property
    def field(self) -> str:
        """The name of the lease in the hash of its user or address."""
        return f"{self.slot}:{self.nonce}"


class ConnectionLimiter:
    """Grants leases, at most `per_user` and `per_ip` at a time; 0 is no limit.

    When Redis fails no stream is closed or refused: leases are granted, counted in `failures` and
    recorded later. `run()` has to go on while the process serves streams; without it a lease counts
    for `PROCESS_TTL_MS` only. `stream_max_s` is the longest life of a stream in seconds, `clock`
    gives epoch seconds, and `new_id` makes the names of this process and of connections.
    """

    def __init__(
        self,
        redis: UpstashClient,
        *,
        per_user: int,
        per_ip: int,
        stream_max_s: float,
        clock: Callable[[], float],
        new_id: Callable[[], str],
        rng: random.Random | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._redis = redis
        self._per_user = per_user
        self._per_ip = per_ip
        # Longer than any stream with its jitter; the hash of an active key is kept alive.
        self._ttl_s = int(stream_max_s * 2) + 600
        self._clock = clock
        self._new_id = new_id
        self._rng = rng or random.Random()  # noqa: S311  # jitter
        self._sleep = sleep
        self._process: str | None = None
        self._alive_until_ms = 0
        self._held: set[Lease] = set()
        self._unrecorded: set[Lease] = set()
        self._unreleased: set[Lease] = set()
        self.failures: Counter[str] = Counter()

    @property
    def held(self) -> int:
        """How many open streams of this process are under a limit."""
        return len(self._held)

    async def acquire(self, user: str | None, ip: str, conn: str) -> Lease:
        """Return a lease for the connection `conn` of `user`; an earlier one of both is replaced.

        `conn` is chosen by the client, and stays the same when it reconnects. For a `user` of None
        only the address is limited. Costs one command, and none without limits. Raises
        OverConnectionLimit, and BadRequest for a `conn` that is not a topic segment. Any failure of
        Redis grants the lease.
        """
        # With a colon in it, one user could name the slots of another.
        if not is_segment(conn):
            raise BadRequest("`conn` must be 1 to 64 letters, digits or _.~-")
        limits = self._limits(user, ip)
        # The empty name stands for nobody: no user's id is empty.
        lease = Lease(f"{user or ''}:{conn}", self._new_id() if limits else "", limits)
        if limits:
            await self._take(lease)
        return lease

    async def release(self, lease: Lease) -> None:
        """Give the lease back. To repeat it does no harm, and a failure of Redis raises nothing."""
        if not lease.limits:
            return
        self._held.discard(lease)
        self._unrecorded.discard(lease)
        # It is noted before it is sent, because the caller may be cancelled at any await.
        self._unreleased.add(lease)
        await self._send([], forget=[lease])

    async def renew(self) -> bool:
        """Prolong all leases of this process by one command. Return False when Redis failed.

        After a pause that outlasted its lease the process records its connections anew, because
        others may have given their slots away.
        """
        if self._now_ms() > self._alive_until_ms:
            self._unrecorded |= self._held
        end_ms = self._now_ms() + PROCESS_TTL_MS
        alive: Command = ["ZADD", PROCESSES, end_ms, self._name()]
        if not await self._send([alive], record=self._unrecorded, forget=self._unreleased):
            return False
        self._alive_until_ms = end_ms
        return True

    async def run(self) -> None:
        """Renew all leases every `RENEW_S` seconds, with jitter, until it is cancelled.

        It costs no command while no stream is open.
        """
        while True:
            await self._sleep(RENEW_S * self._rng.uniform(0.9, 1.1))
            if self._held or self._unreleased:
                await self.renew()

    def _limits(self, user: str | None, ip: str) -> tuple[StreamLimit, ...]:
        limits = [StreamLimit("address", f"millrace:leases:ip:{ip}", self._per_ip)]
        if user is not None:
            limits.insert(0, StreamLimit("user", f"millrace:leases:user:{user}", self._per_user))
        return tuple(limit for limit in limits if limit.most)

    async def _take(self, lease: Lease) -> None:
        full: StreamLimit | None = None
        try:
            async with asyncio.timeout(ACQUIRE_TIMEOUT_S):
                full = await self._ask(lease)
        except (RedisError, TimeoutError) as error:
            # Granted in doubt: a limit protects the service, and must not cause an outage itself.
            self._count("acquire", error)
            self._unrecorded.add(lease)
        except asyncio.CancelledError:
            # It may have been granted, and nobody is left to release it.
            self._unreleased.add(lease)
            raise
        if full:
            raise OverConnectionLimit(
                f"This {full.of} has {full.most} open streams, the most allowed.",
                retry_after_s=RETRY_AFTER_S,
            )
        self._held.add(lease)

    async def _ask(self, lease: Lease) -> StreamLimit | None:
        """Return the limit that is reached, or None when the lease was recorded."""
        is_lapsed = self._now_ms() > self._alive_until_ms
        if self._held and is_lapsed and not await self.renew():
            raise NoReply("the process could not be recorded")
        now_ms = self._now_ms()
        # Only when half of it is gone: a busy process is kept alive by `run`.
        is_due = self._alive_until_ms - now_ms < PROCESS_TTL_MS // 2
        end_ms = now_ms + PROCESS_TTL_MS if is_due else 0
        full, _ = await self._redis.script(
            ACQUIRE,
            keys=[PROCESSES, *(limit.key for limit in lease.limits)],
            args=[
                *(now_ms, end_ms, self._name(), lease.slot, lease.nonce, self._ttl_s),
                # Only processes that ended long ago, because the clocks of hosts differ.
                now_ms - FORGET_MS,
                *(limit.most for limit in lease.limits),
            ],
            repeatable=True,  # the nonce makes a second run see its own first
        )
        if full:
            return lease.limits[int(full) - 1]
        self._alive_until_ms = max(self._alive_until_ms, end_ms)
        return None

    async def _send(
        self,
        commands: list[Command],
        *,
        record: Collection[Lease] = (),
        forget: Collection[Lease] = (),
    ) -> bool:
        """Run `commands`, record and remove leases in one pipeline. Return False if it failed."""
        recorded, forgotten = set(record), set(forget)
        catching_up = [*_record(recorded, self._name(), self._ttl_s), *_forget(forgotten)]
        try:
            results = await self._redis.pipeline([*commands, *catching_up], repeatable=True)
            for result in results:
                if isinstance(result, RedisError):
                    raise result
        except RedisError as error:
            self._count("renew" if commands else "release", error)
            return False
        self._unrecorded -= recorded
        self._unreleased -= forgotten
        # Released while we were recording it: whichever came last in Redis, remove it.
        self._unreleased |= recorded - self._held
        return True

    def _name(self) -> str:
        # Not in __init__: a snapshot of a started function is restored many times over.
        self._process = self._process or self._new_id()
        return self._process

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)

    def _count(self, step: str, error: Exception) -> None:
        self.failures[step] += 1
        log.warning("lease.failed", step=step, error=type(error).__name__)


def _record(leases: Collection[Lease], process: str, ttl_s: int) -> list[Command]:
    fields: dict[str, list[str]] = {}
    for lease in leases:
        for limit in lease.limits:
            fields.setdefault(limit.key, []).extend((lease.field, process))
    commands: list[Command] = []
    for key, pairs in fields.items():
        commands += [["HSET", key, *pairs], ["EXPIRE", key, ttl_s]]
    return commands


def _forget(leases: Collection[Lease]) -> list[Command]:
    fields: dict[str, list[str]] = {}
    for lease in leases:
        for limit in lease.limits:
            fields.setdefault(limit.key, []).append(lease.field)
    return [["HDEL", key, *names] for key, names in fields.items()]
