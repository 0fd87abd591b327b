"""The one script by which jobs change: commands that run together, or not at all.

Upstash has transactions without conditions, and conditions only in Lua. So the script is the
condition, and what it guards are ordinary commands, put together where they can be read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from api.upstash import Script, UpstashClient

# KEYS[1] is the job. ARGV: version expected ('' none yet), id of this write, lease token
# expected ('' any), index of the key of an Idempotency-Key (0 none), then the commands, each
# as its length, name, index of its key and arguments.
GUARDED = """
local now = redis.call('HMGET', KEYS[1], 'v', 'w', 'k', 'l', 'doc', 'r')
if now[2] == ARGV[2] then return {'again'} end
local once = tonumber(ARGV[4])
if once > 0 then
  local known = redis.call('GET', KEYS[once])
  if known then return {'known', known} end
end
if (now[1] or '') ~= ARGV[1] then return {now[1] and 'conflict' or 'missing', unpack(now)} end
if ARGV[3] ~= '' and now[3] ~= ARGV[3] then return {'fenced'} end
local at = 5
while at <= #ARGV do
  local length = tonumber(ARGV[at])
  local command = {}
  for part = 1, length do command[part] = ARGV[at + part] end
  command[2] = KEYS[tonumber(command[2])]
  redis.call(unpack(command))
  at = at + length + 1
end
return {'done'}
"""

RENEW = Script(
    """
local now = redis.call('HMGET', KEYS[1], 'v', 'w', 'k', 'l', 'doc', 'r')
if now[3] ~= ARGV[1] then return {now[1] and 'fenced' or 'missing'} end
redis.call('HSET', KEYS[1], 'l', ARGV[2])
return {'done', unpack(now)}
""",
    calls=lambda result: ("HMGET", "HSET") if result[0] == "done" else ("HMGET",),
)

Command = tuple[str, str, *tuple[str | int, ...]]
"""Name, key, arguments."""


class Verdict(StrEnum):
    """What became of a guarded write."""

    DONE = "done"
    AGAIN = "again"
    """An earlier try of this same write did it, and its reply was lost."""
    KNOWN = "known"
    CONFLICT = "conflict"
    FENCED = "fenced"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Guard:
    """What must hold: the job's version (None: there is no job) and the worker's lease token.

    `write_id` names this write and no other. With the key `once` nothing is written if that
    is there already, and its text is handed back.
    """

    job_key: str
    write_id: str
    version: int | None
    token: str | None = None
    once: str | None = None


async def run_guarded(
    redis: UpstashClient, guard: Guard, commands: Sequence[Command]
) -> tuple[Verdict, Any]:
    """Run `commands` if the guard allows it, as one, however often this is repeated."""
    names = [
        guard.job_key,
        *([guard.once] if guard.once else []),
        *(key for _, key, *_ in commands),
    ]
    keys = list(dict.fromkeys(names))
    place = {key: index for index, key in enumerate(keys, start=1)}
    args: list[str | float] = [
        "" if guard.version is None else str(guard.version),
        guard.write_id,
        guard.token or "",
        place[guard.once] if guard.once else 0,
    ]
    for name, key, *rest in commands:
        args += [len(rest) + 2, name, place[key], *rest]

    def calls(result: Any) -> Sequence[str]:
        looked = ["GET"] if guard.once and result[0] != Verdict.AGAIN else []
        ran = [name for name, *_ in commands] if result[0] == Verdict.DONE else []
        return ["HMGET", *looked, *ran]

    script = Script(GUARDED, calls=calls)
    verdict, *rest = await redis.script(script, keys=keys, args=args, repeatable=True)
    return Verdict(verdict), rest
