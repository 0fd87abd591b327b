"""Appends that are done once, however often they are tried.

With `append_once`, a key of the caller stands for one append. With `append_groups`, a mark stands
for each of many groups of events. Both are Lua scripts, so that nothing is stored without the key
or mark that prevents its repetition.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from api.events.event import EventId
from api.events.log.retention import Retentions
from api.events.topic import TopicName, log_key
from api.upstash import Script, UpstashClient

GROUPS_AT_ONCE: Final = 100  # in one script
BYTES_AT_ONCE: Final = 262_144  # of events in one script


def _calls(result: Any) -> Sequence[str]:
    record, replayed = result
    if replayed:
        return ("GET",)
    return ("GET", *("XADD", "EXPIRE") * len(_ids(record)), "SET")


# KEYS: the record, then a log for each event. ARGV: the record's TTL and the fingerprint, then
# for each event its text, how many its log keeps, and the log's TTL.
APPEND_ONCE = Script(
    """
local known = redis.call('GET', KEYS[1])
if known then return {known, 1} end
local record = {}
for i = 2, #KEYS do
  local at = 3 * (i - 1)
  local id = redis.call('XADD', KEYS[i], 'MAXLEN', '~', ARGV[at + 1], '*', 'e', ARGV[at])
  redis.call('EXPIRE', KEYS[i], ARGV[at + 2])
  record[i - 1] = id
end
record[#KEYS] = ARGV[2]
record = table.concat(record, ' ')
redis.call('SET', KEYS[1], record, 'EX', ARGV[1])
return {record, 0}
""",
    calls=_calls,
)


@dataclass(frozen=True, slots=True)
class Stored:
    """What was stored under a key.

    `ids` are the ids of the events, and `fingerprint` is the digest that the first caller gave for
    their topics and texts. `replayed` says that an earlier call had stored them.
    """

    ids: tuple[EventId, ...]
    fingerprint: str
    replayed: bool

    @classmethod
    def of(cls, result: Any) -> "Stored":
        """Return the result of the script `APPEND_ONCE`, decoded."""
        record, replayed = result
        ids = tuple(EventId.parse(one) for one in _ids(record))
        return cls(ids, record.rpartition(" ")[2], bool(replayed))


async def append_once(
    client: UpstashClient,
    retentions: Retentions,
    entries: Sequence[tuple[TopicName, str]],
    *,
    key: str,
    fingerprint: str,
) -> Stored:
    """Store all `entries` (topic and text of each), unless something was stored under `key` before.

    Returns what is stored under the key, which the caller compares by its `fingerprint`. A key is
    known for the usual `idempotency_ttl_s` seconds. May be repeated after any error. Raises
    `RedisError`.
    """
    args: list[str | int] = [retentions.usual.idempotency_ttl_s, fingerprint]
    for topic, text in entries:
        keep = retentions.of(topic)
        args += [text, keep.max_events, keep.ttl_s]
    keys = [f"millrace:once:{key}", *(log_key(topic) for topic, _ in entries)]
    return Stored.of(await client.script(APPEND_ONCE, keys=keys, args=args, repeatable=True))


def _ids(record: str) -> list[str]:
    return record.split(" ")[:-1]


# KEYS: a mark for each group, then each topic's log. ARGV: the marks' TTL, how many marks, for
# each log how many events it keeps and for how long; then for each group the number of its
# events, and for each of these the number of its log and its text.
APPEND_GROUPS = Script(
    """
local marks, logs = tonumber(ARGV[2]), #KEYS - tonumber(ARGV[2])
local at, entries, touched, stored = 3 + 2 * logs, 0, {}, {}
for n = 1, marks do
  local is_new = redis.call('SET', KEYS[n], '1', 'NX', 'EX', ARGV[1])
  for _ = 1, tonumber(ARGV[at]) do
    local log = tonumber(ARGV[at + 1])
    if is_new then
      local most = ARGV[1 + 2 * log]
      redis.call('XADD', KEYS[marks + log], 'MAXLEN', '~', most, '*', 'e', ARGV[at + 2])
      entries, touched[log] = entries + 1, true
    end
    at = at + 2
  end
  at = at + 1
  stored[n] = is_new and 1 or 0
end
local topics = 0
for log in pairs(touched) do
  redis.call('EXPIRE', KEYS[marks + log], ARGV[2 + 2 * log])
  topics = topics + 1
end
return {stored, entries, topics}
""",
    calls=lambda result: (
        *(["SET"] * len(result[0])),
        *(["XADD"] * result[1]),
        *(["EXPIRE"] * result[2]),
    ),
)


@dataclass(frozen=True, slots=True)
class Group:
    """Events (topic and text of each) that are stored together unless `key` has a mark."""

    key: str
    entries: Sequence[tuple[TopicName, str]]

    @property
    def size_bytes(self) -> int:
        """The length of all texts in characters, as a measure for the size of the request."""
        return sum(len(text) for _, text in self.entries)


async def append_groups(
    client: UpstashClient, retentions: Retentions, groups: Sequence[Group], *, mark_ttl_s: int
) -> list[bool]:
    """Store each group unless its key was marked in the last `mark_ttl_s` seconds, and mark it.

    Returns a bool for each group: True if it was stored now. May be repeated after any error
    without storing anything twice. Costs two commands for a group with one event. Very many groups
    take several scripts, and a failure leaves the first ones stored. Raises `RedisError`.
    """
    stored: list[bool] = []
    while some := _fitting(groups[len(stored) :]):
        stored += await _append(client, retentions, some, mark_ttl_s)
    return stored


async def _append(
    client: UpstashClient, retentions: Retentions, groups: Sequence[Group], mark_ttl_s: int
) -> list[bool]:
    topics = list(dict.fromkeys(topic for group in groups for topic, _ in group.entries))
    number = {topic: at for at, topic in enumerate(topics, start=1)}
    args: list[str | int] = [mark_ttl_s, len(groups)]
    for topic in topics:
        keep = retentions.of(topic)
        args += [keep.max_events, keep.ttl_s]
    for group in groups:
        args.append(len(group.entries))
        for topic, text in group.entries:
            args += [number[topic], text]
    result: Any = await client.script(
        APPEND_GROUPS,
        keys=[*(f"millrace:once:{group.key}" for group in groups), *map(log_key, topics)],
        args=args,
        repeatable=True,
    )
    return [bool(one) for one in result[0]]


def _fitting(groups: Sequence[Group]) -> list[Group]:
    """Return the first groups, as many as one request should hold, but at least one if any."""
    some: list[Group] = []
    size = 0
    for group in islice(groups, GROUPS_AT_ONCE):
        size += group.size_bytes
        if some and size > BYTES_AT_ONCE:
            break
        some.append(group)
    return some
