"""What Redis holds of a source: who reads the upstream for all, and how far it was read.

One process holds a source at a time, by a lease. An append stores events and the upstream's last id
in one step, and only for the holder. So no event is stored twice and none is left out, whichever
process takes over and whenever.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from api.events import Span, TopicLog, TopicName, entries_of, log_key, xrevrange
from api.upstash import Script

RECENT_IDS = 500
ID_FIELD = "u"
LOST = -1

# KEYS: the source. ARGV: holder, now_ms, end_ms, ttl_s.
HOLD = Script(
    """
local held = redis.call('HMGET', KEYS[1], 'holder', 'until', 'id')
local is_free = not held[1] or held[1] == ARGV[1] or tonumber(held[2]) < tonumber(ARGV[2])
if not is_free then return {0, ''} end
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'until', ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[4])
return {1, held[3] or ''}
""",
    calls=lambda result: ("HMGET", "HSET", "EXPIRE") if result[0] else ("HMGET",),
)

# KEYS: the source, the log. ARGV: holder, batch, upstream's last id, max_events, ttl_s, then for
# each event its text and its id. A repeated batch is known by its name.
APPEND = Script(
    """
local held = redis.call('HMGET', KEYS[1], 'holder', 'batch')
if held[1] ~= ARGV[1] then return -1 end
if held[2] == ARGV[2] then return 0 end
for i = 6, #ARGV, 2 do
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[4], '*', 'e', ARGV[i], 'u', ARGV[i + 1])
end
redis.call('EXPIRE', KEYS[2], ARGV[5])
redis.call('HSET', KEYS[1], 'batch', ARGV[2], 'id', ARGV[3])
return (#ARGV - 5) / 2
""",
    calls=lambda stored: (
        ("HMGET", *["XADD"] * int(stored), "EXPIRE", "HSET") if int(stored) > 0 else ("HMGET",)
    ),
)

# KEYS: the source. ARGV: holder.
RELEASE = Script(
    """
if redis.call('HGET', KEYS[1], 'holder') ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[1], 'holder', 'until')
return 1
""",
    calls=lambda released: ("HGET", "HDEL") if released else ("HGET",),
)


class NotHeldError(Exception):
    """Raised when another process holds the source now: stop reading the upstream."""


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An event to store, as JSON text, with the upstream's id of it; None if it has none."""

    text: str
    upstream_id: str | None = None


@dataclass(slots=True)
class SourceStore:
    """What Redis keeps of one source: the lease of the process that reads the upstream (`holder` is
    our name in it), the upstream's last id, and the events passed on, in the log of `topic`.

    `batches` numbers our writes, so that a repeated one stores nothing twice. Every method that
    asks Redis raises `RedisError`.
    """  # noqa: D205  # one sentence

    log: TopicLog
    topic: TopicName
    holder: str
    batches: int = 0

    @property
    def key(self) -> str:
        """The Redis key of the source's lease and of the upstream's last id."""
        return f"millrace:relay:{self.topic.partition(':')[2]}"

    async def hold(self, now: float, lease_s: float) -> str | None:
        """Take the lease on the source, or renew it, until `lease_s` seconds after `now`.

        `now` is in seconds since 1970. Return the upstream's last id, "" if there is none yet; or
        None if another process holds the lease.
        """
        now_ms, ends_ms = int(now * 1000), int((now + lease_s) * 1000)
        ttl_s = self.log.retention(self.topic).ttl_s
        args: list[str | int] = [self.holder, now_ms, ends_ms, ttl_s]
        is_held, last_id = await self._run(HOLD, [self.key], args)
        return str(last_id) if is_held else None

    def next_batch(self) -> str:
        """Return a new name for a batch of entries, to be used in every try to append it."""
        self.batches += 1
        return f"{self.holder}-{self.batches}"

    async def append(self, entries: Sequence[NewEntry], *, batch: str, last_id: str) -> None:
        """Store a batch of events, and `last_id` as how far the upstream was read.

        A batch that is sent again is stored once. Raises `NotHeldError` if the lease was lost.
        """
        keep = self.log.retention(self.topic)
        args: list[str | int] = [self.holder, batch, last_id]
        args += [keep.max_events, keep.ttl_s]
        for entry in entries:
            args += [entry.text, entry.upstream_id or ""]
        if await self._run(APPEND, [self.key, log_key(self.topic)], args) == LOST:
            raise NotHeldError

    async def release(self) -> None:
        """Give up the lease, so that another process can take it at once."""
        await self._run(RELEASE, [self.key], [self.holder])

    async def recent_ids(self) -> list[str]:
        """Return the upstream's ids of up to `RECENT_IDS` newest events, oldest first."""
        command = xrevrange(self.topic, Span(), RECENT_IDS)
        rows = entries_of(await self.log.client.read(*command))
        return [fields[ID_FIELD] for _, fields in reversed(rows) if fields.get(ID_FIELD)]

    async def _run(self, script: Script, keys: Sequence[str], args: Sequence[str | int]) -> Any:
        return await self.log.client.script(script, keys=keys, args=args, repeatable=True)
