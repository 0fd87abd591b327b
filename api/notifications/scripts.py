"""The Lua scripts that count and change a user's read state.

A script that changes it stores the new state and the event that tells of it in one step. KEYS are
the state, the user's own topic and the topic for all. The state is a hash: `own` and `all` hold the
event id up to which everything in that topic was read, and `own:<id>` and `all:<id>` hold `read` or
`deleted` for a single notification.
"""

from collections.abc import Sequence
from typing import Any

from api.upstash import Script

# ARGV of all scripts: 1 the lowest milliseconds that are shown.
# ARGV of those that change something: 2 the state's TTL in seconds, 3 how many entries the own
# topic keeps, 4 its TTL in seconds, 5 and 6 the event's text before and after what has changed,
# 7 and 8 the names of both topics.
_COMMON = """
local keys = {own = KEYS[2], all = KEYS[3]}
local topics = {own = ARGV[7], all = ARGV[8]}
local oldest = tonumber(ARGV[1])

local function parts(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(seq)
end
local function is_above(id, other)
  local ms, seq = parts(id)
  local other_ms, other_seq = parts(other)
  return ms > other_ms or (ms == other_ms and seq > other_seq)
end
local function is_notification(row)
  return row and row[2][1] == 'e' and string.sub(row[2][2], 1, 22) == '{"type":"notification"'
end

local state, flat = {}, redis.call('HGETALL', KEYS[1])
for i = 1, #flat, 2 do state[flat[i]] = flat[i + 1] end

-- Stores fields and tells of `shown`; forgets what is too old to be shown, or is `settled`.
local function change(fields, shown, settled)
  redis.call('HSET', KEYS[1], unpack(fields))
  redis.call('EXPIRE', KEYS[1], ARGV[2])
  local text = ARGV[5] .. table.concat(shown, ',') .. ARGV[6]
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', 'e', text)
  redis.call('EXPIRE', KEYS[2], ARGV[4])
  local gone = {}
  for field, value in pairs(state) do
    local source, id = string.match(field, '^(%a+):(.+)$')
    if id and #gone < 1000 and (parts(id) < oldest or settled(source, id, value)) then
      gone[#gone + 1] = field
    end
  end
  if #gone > 0 then redis.call('HDEL', KEYS[1], unpack(gone)) end
  return #gone > 0 and 1 or 0
end
"""


def _calls(result: Any) -> Sequence[str]:
    """Return the commands that a script ran, as its last three numbers say.

    These are the number of entries looked at, whether anything changed, and whether marks were
    deleted.
    """
    *_, looked, changed, forgotten = result
    calls = ["HGETALL", *["XRANGE"] * looked]
    if changed:
        calls += ["HSET", "EXPIRE", "XADD", "EXPIRE"]
    return [*calls, *["HDEL"] * forgotten]


# ARGV: 9 `read` or `deleted`, then for each notification `own` or `all`, and its id.
MARK = Script(
    _COMMON
    + """
local value, fields, shown, missing, looked = ARGV[9], {}, {}, {}, 0
for i = 10, #ARGV, 2 do
  local source, id = ARGV[i], ARGV[i + 1]
  local field = source .. ':' .. id
  local was = state[field]
  looked = looked + 1
  local row = redis.call('XRANGE', keys[source], id, id)[1]
  if was == 'deleted' or not is_notification(row) or parts(id) < oldest then
    if was ~= value then missing[#missing + 1] = topics[source] .. '/' .. id end
  elseif value == 'deleted' or (was ~= 'read' and is_above(id, state[source] or '0-0')) then
    fields[#fields + 1] = field
    fields[#fields + 1] = value
    shown[#shown + 1] = '"' .. topics[source] .. '/' .. id .. '"'
    state[field] = nil
  end
end
local forgotten = 0
if #shown > 0 then forgotten = change(fields, shown, function() return false end) end
return {missing, looked, #shown, forgotten}
""",
    calls=_calls,
)

# ARGV: 9 the id up to which the own topic was read, 10 the same of the topic for all; an empty text
# leaves the topic as it is.
MARK_UP_TO = Script(
    _COMMON
    + """
local fields, shown = {}, {}
for source, id in pairs({own = ARGV[9], all = ARGV[10]}) do
  if id ~= '' and is_above(id, state[source] or '0-0') then
    fields[#fields + 1] = source
    fields[#fields + 1] = id
    state[source] = id
    shown[#shown + 1] = '"' .. topics[source] .. '":"' .. id .. '"'
  end
end
local forgotten = 0
if #shown > 0 then
  forgotten = change(fields, shown, function(source, id, value)
    return value == 'read' and state[source] and not is_above(id, state[source])
  end)
end
return {0, #shown, forgotten}
""",
    calls=_calls,
)

UNREAD = Script(
    _COMMON
    + """
local unread = 0
for source, key in pairs(keys) do
  local up_to = state[source] or '0-0'
  local from = ARGV[1] .. '-0'
  if is_above(up_to, from) then from = '(' .. up_to end
  for _, row in ipairs(redis.call('XRANGE', key, from, '+')) do
    if is_notification(row) and not state[source .. ':' .. row[1]] and is_above(row[1], up_to) then
      unread = unread + 1
    end
  end
end
return unread
""",
    calls=lambda _: ("HGETALL", "XRANGE", "XRANGE"),
)
