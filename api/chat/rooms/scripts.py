"""The changes of rooms that depend on a check, each as one Lua script.

Within a script no other command runs between the check and the change. What a user is in the rooms
is one hash: from the id of a room to `reader`, `member`, `moderator`, `invited:<role>` or `banned`,
and from `*` to `banned` for a ban from all rooms. A script answers with the user's new value for
the room (`gone` for none), or with one of the words of `store.REFUSALS`.
"""

from api.upstash import Script

COUNTING = """
local made = {}
local function call(name, ...)
  made[#made + 1] = name
  return redis.call(name, ...)
end
"""

# When a room ends, the fields of its invited and banned users stay, because there may be any number
# of them. No room gets that id again, so they mean nothing and are deleted here to free space.
DROP_ENDED = """
local function drop_ended(user)
  local rooms = call('HKEYS', user)
  for first = 1, #rooms, 1000 do
    local last, ended = math.min(first + 999, #rooms), {}
    for i, facts in ipairs(call('HMGET', KEYS[1], unpack(rooms, first, last))) do
      local room = rooms[first + i - 1]
      if not facts and room ~= '*' then ended[#ended + 1] = room end
    end
    if #ended > 0 then call('HDEL', user, unpack(ended)) end
  end
end
"""

# KEYS: rooms, the user, members, public, ended; then the logs that must not be there yet.
# ARGV: room, its facts, user, is public, the maximum of rooms of one user.
CREATE = """
local function is_role(place) return not place:find('^invited:') and place ~= 'banned' end
if call('HGET', KEYS[2], '*') then return '!banned' end
local known = call('HGET', KEYS[1], ARGV[1])
-- A repeat. All is stored already, and what others have decided since must stand.
if known == ARGV[2] then return 'moderator' end
if known then return '!exists' end
if call('SISMEMBER', KEYS[5], ARGV[1]) == 1 then return '!ended' end
if #KEYS > 5 and call('EXISTS', unpack(KEYS, 6)) > 0 then return '!exists' end
local roles = 0
for _, place in ipairs(call('HVALS', KEYS[2])) do
  if is_role(place) then roles = roles + 1 end
end
if roles >= tonumber(ARGV[5]) then return '!full' end
call('HSET', KEYS[1], ARGV[1], ARGV[2])
call('HSET', KEYS[2], ARGV[1], 'moderator')
call('ZADD', KEYS[3], 3, ARGV[3])
if ARGV[4] == '1' then call('ZADD', KEYS[4], 0, ARGV[1]) end
return 'moderator'
"""

# KEYS: rooms, the user, members. ARGV: room, user, the maximum of rooms of one user.
JOIN = """
local rank = { reader = 1, member = 2, moderator = 3 }
local room = call('HGET', KEYS[1], ARGV[1])
local places = call('HMGET', KEYS[2], ARGV[1], '*')
local place = places[1]
if places[2] then return '!banned' end
if not room then return '!unknown' end
if place == 'banned' then return '!banned' end
if place and rank[place] then return place end
local facts = cjson.decode(room)
if not place and not facts.is_public then return '!unknown' end
local role = place and place:sub(9) or facts.joins_as
local roles = 0
for _, other in ipairs(call('HVALS', KEYS[2])) do
  if rank[other] then roles = roles + 1 end
end
if roles >= tonumber(ARGV[3]) then return '!full' end
call('HSET', KEYS[2], ARGV[1], role)
call('ZADD', KEYS[3], rank[role], ARGV[2])
return role
"""

# KEYS: rooms, who asks, who is meant, members.
# ARGV: room, who is meant, role, whether an admin asks, the maximum of fields of one user.
APPOINT = (
    DROP_ENDED
    + """
local rank = { reader = 1, member = 2, moderator = 3 }
local mine = call('HMGET', KEYS[2], ARGV[1], '*')
if ARGV[4] ~= '1' then
  if mine[2] or not mine[1] or not rank[mine[1]] then return '!unknown' end
  if mine[1] ~= 'moderator' then return '!role' end
end
if call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return '!unknown' end
local theirs = call('HMGET', KEYS[3], ARGV[1], '*')
local place = theirs[1]
if theirs[2] or place == 'banned' then return '!banned-other' end
if not place or not rank[place] then
  if not place and call('HLEN', KEYS[3]) >= tonumber(ARGV[5]) then
    drop_ended(KEYS[3])
    if call('HLEN', KEYS[3]) >= tonumber(ARGV[5]) then return '!full-other' end
  end
  call('HSET', KEYS[3], ARGV[1], 'invited:' .. ARGV[3])
  return 'invited:' .. ARGV[3]
end
if place == 'moderator' and ARGV[3] ~= 'moderator' then
  -- Only oneself, as with a ban: else a moderator demotes another one first, and bans then.
  if ARGV[4] ~= '1' and KEYS[2] ~= KEYS[3] then return '!role' end
  if call('ZCOUNT', KEYS[4], 3, 3) < 2 then return '!last' end
end
call('HSET', KEYS[3], ARGV[1], ARGV[3])
call('ZADD', KEYS[4], rank[ARGV[3]], ARGV[2])
return ARGV[3]
"""
)

# KEYS: rooms, the user, members, public, bans, ended. ARGV: room, user.
LEAVE = """
local place = call('HGET', KEYS[2], ARGV[1])
if not place or place == 'banned' then return 'gone' end
if place == 'moderator' and call('ZCOUNT', KEYS[3], 3, 3) < 2 then
  if call('ZCARD', KEYS[3]) > 1 then return '!last' end
end
call('HDEL', KEYS[2], ARGV[1])
if call('ZREM', KEYS[3], ARGV[2]) == 0 or call('ZCARD', KEYS[3]) > 0 then return 'gone' end
call('HDEL', KEYS[1], ARGV[1])
call('ZREM', KEYS[4], ARGV[1])
call('DEL', KEYS[5])
call('SADD', KEYS[6], ARGV[1])
return 'gone'
"""

# KEYS: rooms, who asks, who is meant, members, bans.
# ARGV: room, who is meant, whether an admin asks, now in ms, `ban` or `unban`, the number
# of fields of one user from which those of ended rooms are deleted.
BAN = (
    DROP_ENDED
    + """
local mine = call('HMGET', KEYS[2], ARGV[1], '*')
local place = call('HGET', KEYS[3], ARGV[1])
if ARGV[3] ~= '1' then
  if mine[2] or not mine[1] or mine[1] == 'banned' or mine[1]:find('^invited:') then
    return '!unknown'
  end
  if mine[1] ~= 'moderator' or place == 'moderator' then return '!role' end
end
if call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return '!unknown' end
if ARGV[5] == 'unban' then
  if place == 'banned' then call('HDEL', KEYS[3], ARGV[1]) end
  call('ZREM', KEYS[5], ARGV[2])
  return 'gone'
end
if not place and call('HLEN', KEYS[3]) >= tonumber(ARGV[6]) then drop_ended(KEYS[3]) end
call('HSET', KEYS[3], ARGV[1], 'banned')
call('ZREM', KEYS[4], ARGV[2])
call('ZADD', KEYS[5], ARGV[4], ARGV[2])
return 'banned'
"""
)


def counted(body: str) -> Script:
    """Build a script that also answers with the names of the commands that it ran.

    `body` is Lua that runs its commands with `call` and returns a text. Which commands run depends
    on what they find, and they are counted because they are billed.
    """
    source = f"{COUNTING}local function run()\n{body}end\nreturn {{run(), made}}"
    return Script(source, calls=lambda result: result[1])


CREATE_ROOM = counted(CREATE)
JOIN_ROOM = counted(JOIN)
APPOINT_MEMBER = counted(APPOINT)
LEAVE_ROOM = counted(LEAVE)
BAN_FROM_ROOM = counted(BAN)
