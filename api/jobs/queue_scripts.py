"""Steps of the Redis queue that must be atomic."""

from api.upstash import Script

# KEYS[1] is the stream. ARGV: group, idle ms after which a worker without entries is forgotten.
JOIN = Script(
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
