"""Storing events once, however often that is tried."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from api.events.event import EventId
from api.upstash import Script


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
    """What a key has stored: the ids, the fingerprint of what they hold, and whether before."""

    ids: tuple[EventId, ...]
    fingerprint: str
    replayed: bool

    @classmethod
    def of(cls, result: Any) -> "Stored":
        """Read the script's answer."""
        record, replayed = result
        ids = tuple(EventId.parse(one) for one in _ids(record))
        return cls(ids, record.rpartition(" ")[2], bool(replayed))


def _ids(record: str) -> list[str]:
    return record.split(" ")[:-1]
