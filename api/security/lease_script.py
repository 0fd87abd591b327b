"""The Lua script that counts the open streams of a user and an address, and records one more.

It is one script because both must be one step: otherwise two requests could take the last slot.
"""

from api.upstash import Script

# KEYS: the processes, then one hash for each limit.
# ARGV: now_ms, end_ms (0: this process is registered), process, slot, nonce, ttl_s,
#       forget_ms, then the limit of each hash.
# Fields are `slot:nonce`: a slot is user and `conn` id, the nonce one connection. With the
# nonce, a late release of one connection cannot free the slot of the one that replaced it.
SOURCE = """
local calls = {}
local function call(name, ...)
  calls[#calls + 1] = name
  return redis.call(name, ...)
end

-- unpack() takes some thousand values at most.
local function each_chunk(list, act)
  for first = 1, #list, 1000 do
    act(first, {unpack(list, first, math.min(first + 999, #list))})
  end
end

local now, process = tonumber(ARGV[1]), ARGV[3]
local slot, ttl = ARGV[4], ARGV[6]
local own = slot .. ':' .. ARGV[5]

local function live_processes(entries)
  local alive, asked, seen = {[process] = true}, {}, {[process] = true}
  for i = 2, #entries, 2 do
    if not seen[entries[i]] then
      seen[entries[i]] = true
      asked[#asked + 1] = entries[i]
    end
  end
  each_chunk(asked, function(first, chunk)
    local ends = call('ZMSCORE', KEYS[1], unpack(chunk))
    for i = 1, #chunk do
      alive[chunk[i]] = ends[i] and tonumber(ends[i]) >= now
    end
  end)
  return alive
end

local function is_full(key, limit)
  local entries = call('HGETALL', key)
  local alive, dead = live_processes(entries), {}
  local total, others, seen = 0, 0, {[slot] = true}
  for i = 1, #entries, 2 do
    local field = entries[i]
    if not alive[entries[i + 1]] then
      dead[#dead + 1] = field
    elseif field ~= own then
      total = total + 1
      local theirs = string.match(field, '^(.*):')
      if not seen[theirs] then
        seen[theirs] = true
        others = others + 1
      end
    end
  end
  each_chunk(dead, function(_, chunk) call('HDEL', key, unpack(chunk)) end)
  -- Ghosts are bounded too, or one `conn` id would be good for any number of streams.
  return others >= limit or total >= limit + math.max(limit, 5)
end

for i = 2, #KEYS do
  if is_full(KEYS[i], tonumber(ARGV[6 + i])) then
    return {i - 1, calls}
  end
end
if ARGV[2] ~= '0' then
  call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[7])
  call('ZADD', KEYS[1], ARGV[2], process)
end
for i = 2, #KEYS do
  call('HSET', KEYS[i], own, process)
  call('EXPIRE', KEYS[i], ttl)
end
return {0, calls}
"""

# The result is [number of the full hash or 0, names of the commands that ran].
ACQUIRE = Script(SOURCE, calls=lambda result: result[1])
