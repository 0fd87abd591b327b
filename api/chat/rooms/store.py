"""Rooms and their members, as they are kept in Redis.

| key below `millrace:chat:` | |
|---|---|
| `rooms` | hash: the facts of each room as JSON, by its id |
| `public` | sorted set: the ids of public rooms, in alphabetical order |
| `ended` | set: the ids of rooms that have ended, which no room gets again |
| `user:<id>` | hash: what the user is in each room, so that a token costs one command |
| `members:<room>` | sorted set: the members by rank |
| `bans:<room>` | sorted set: the users who are banned from the room, by time |
| `banned` | sorted set: the users who are banned from all rooms, by time |
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from api.chat.problems import Banned, NotAllowedInRoom, RoomConflict, RoomEnded, UnknownRoom
from api.chat.rooms import scripts as room_scripts
from api.chat.rooms.standing import BANNED, EVERYWHERE, INVITED, Role, RoomId, Standing
from api.events import TopicName, log_key
from api.problems import ApiError
from api.security.principal import Principal
from api.upstash import RedisError, Script, UpstashClient

PREFIX: Final = "millrace:chat:"
ROOMS: Final = f"{PREFIX}rooms"
PUBLIC: Final = f"{PREFIX}public"
ENDED: Final = f"{PREFIX}ended"
BANNED_EVERYWHERE: Final = f"{PREFIX}banned"

REFUSALS: Mapping[str, Callable[[], ApiError]] = {
    "!banned": Banned,
    "!banned-other": lambda: RoomConflict("This user is banned; lift the ban first."),
    "!unknown": UnknownRoom,
    "!role": NotAllowedInRoom,
    "!exists": lambda: RoomConflict("This id is taken."),
    "!ended": RoomEnded,
    "!full": lambda: RoomConflict("You are in as many rooms as one user may be; leave one."),
    "!full-other": lambda: RoomConflict("This user has too many invitations."),
    "!last": lambda: RoomConflict("The last moderator must appoint another one first."),
}


class Room(msgspec.Struct, frozen=True):
    """The facts of a room, which never change after it was created.

    `joins_as` is the role of those who join without an invitation. `created_by` is a user's
    segment. `created_at` is in epoch milliseconds.
    """

    title: str
    is_public: bool
    joins_as: Role
    created_by: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a room, and the member's role there."""

    user: str
    role: Role


def user_key(user: str) -> str:
    """Return the Redis key of what a user is in all rooms."""
    return f"{PREFIX}user:{user}"


def members_key(room: RoomId) -> str:
    """Return the Redis key of a room's members."""
    return f"{PREFIX}members:{room}"


def bans_key(room: RoomId) -> str:
    """Return the Redis key of the users who are banned from a room."""
    return f"{PREFIX}bans:{room}"


class RoomStore:
    """Reads and changes rooms in Redis. `max_rooms` is how many rooms one user may be in.

    Every method raises `RedisError`. Changes that depend on a check raise the `ApiError` of the
    rule that they break, as `REFUSALS` lists them. A change may be repeated without harm.
    """

    def __init__(self, redis: UpstashClient, *, max_rooms: int) -> None:
        self._redis = redis
        self._max_rooms = max_rooms
        # More than rooms: invitations of strangers must not keep a user from joining rooms.
        self._max_places = max_rooms * 3

    async def standing(self, user: str) -> Standing:
        """Return what `user` is in all rooms; one command."""
        return Standing.parse(await self._redis.read("HGETALL", user_key(user)))

    async def role(self, user: str, room: RoomId) -> Role | None:
        """Return the role of `user` in `room`; one command.

        None if the user is no member, is only invited, or is banned from this or from all rooms.
        """
        place, banned = await self._redis.read("HMGET", user_key(user), room, EVERYWHERE)
        if banned or place is None or place == BANNED or place.startswith(INVITED):
            return None
        return Role(place)

    async def facts(self, rooms: Sequence[RoomId]) -> dict[RoomId, Room]:
        """Return the facts of those of the rooms that exist, by their ids; one command."""
        if not rooms:
            return {}
        texts = await self._redis.read("HMGET", ROOMS, *rooms)
        found = zip(rooms, texts, strict=True)
        return {room: msgspec.json.decode(text, type=Room) for room, text in found if text}

    async def public(self, *, after: str, limit: int) -> list[RoomId]:
        """Return the ids of public rooms above `after`, in order, `limit` at most; one command.

        An `after` of "" begins at the first.
        """
        start = f"({after}" if after else "-"
        found = await self._redis.read("ZRANGE", PUBLIC, start, "+", "BYLEX", "LIMIT", 0, limit)
        return [RoomId(room) for room in found]

    async def members(self, room: RoomId, *, offset: int, limit: int) -> list[Member]:
        """Return `limit` members at most, moderators first; one command.

        The first `offset` members are skipped.
        """
        last = offset + limit - 1
        found = await self._redis.read(
            "ZRANGE", members_key(room), offset, last, "REV", "WITHSCORES"
        )
        return [Member(user, Role.of_rank(rank)) for user, rank in found]

    async def among_members(
        self, wanted: Mapping[RoomId, Sequence[str]]
    ) -> set[tuple[RoomId, str]]:
        """Return which of the `wanted` users are members, as pairs of room and user.

        `wanted` lists users by room. Costs one command for each room with users, all in one round
        trip.
        """
        rooms = [room for room, users in wanted.items() if users]
        if not rooms:
            return set()
        commands = [["ZMSCORE", members_key(room), *wanted[room]] for room in rooms]
        replies = await self._redis.pipeline(commands, repeatable=True)
        for failed in (one for one in replies if isinstance(one, RedisError)):
            raise failed
        return {
            (room, user)
            for room, scores in zip(rooms, replies, strict=True)
            for user, score in zip(wanted[room], scores, strict=True)
            if score is not None
        }

    async def banned(self, room: RoomId | None, *, offset: int, limit: int) -> list[str]:
        """Return a page of the users banned from `room`, the newest ban first; one command.

        None asks for the bans from all rooms. `offset` users are skipped, and the page has `limit`
        at most.
        """
        key = bans_key(room) if room else BANNED_EVERYWHERE
        found = await self._redis.read("ZRANGE", key, offset, offset + limit - 1, "REV")
        return [str(user) for user in found]

    async def create(self, room: RoomId, facts: Room, *, unused: Sequence[TopicName] = ()) -> None:
        """Create a room with its creator as moderator. To repeat it changes nothing.

        It is refused with RoomConflict if one of the topics in `unused` has a log already. Raises
        Banned and RoomEnded too.
        """
        user = facts.created_by
        await self._run(
            room_scripts.CREATE_ROOM,
            keys=[
                *(ROOMS, user_key(user), members_key(room), PUBLIC, ENDED),
                *map(log_key, unused),
            ],
            args=[
                *(room, msgspec.json.encode(facts).decode()),
                *(user, int(facts.is_public), self._max_rooms),
            ],
        )

    async def join(self, user: str, room: RoomId) -> Role:
        """Make a user a member, and return the role: that of the invitation, otherwise `joins_as`.

        A member keeps the present role. Raises UnknownRoom, Banned and RoomConflict.
        """
        result = await self._run(
            room_scripts.JOIN_ROOM,
            keys=[ROOMS, user_key(user), members_key(room)],
            args=[room, user, self._max_rooms],
        )
        return Role(result)

    async def appoint(self, by: Principal, room: RoomId, user: str, role: Role) -> bool:
        """Give a member the role, or invite a user with it. Return True for an invitation.

        `by` is who appoints. Raises UnknownRoom, NotAllowedInRoom and RoomConflict.
        """
        result = await self._run(
            room_scripts.APPOINT_MEMBER,
            keys=[ROOMS, user_key(by.id), user_key(user), members_key(room)],
            args=[room, user, role, int(by.is_admin), self._max_places],
        )
        return result.startswith(INVITED)

    async def leave(self, user: str, room: RoomId) -> None:
        """End a membership or an invitation; nothing happens if there is none.

        The room ends with its last member, and no other room gets its id. Raises RoomConflict for
        the last moderator of a room that has other members.
        """
        await self._run(
            room_scripts.LEAVE_ROOM,
            keys=[ROOMS, user_key(user), members_key(room), PUBLIC, bans_key(room), ENDED],
            args=[room, user],
        )

    async def ban(self, by: Principal, room: RoomId, user: str, *, now_ms: int) -> None:
        """End the membership or invitation of a user, and refuse another one.

        `by` is who bans. Raises UnknownRoom and NotAllowedInRoom.
        """
        await self._ban(by, room, user, now_ms, "ban")

    async def unban(self, by: Principal, room: RoomId, user: str) -> None:
        """End a user's ban from one room. `by` is who lifts it. Raises as `ban`."""
        await self._ban(by, room, user, 0, "unban")

    async def _ban(self, by: Principal, room: RoomId, user: str, now_ms: int, what: str) -> None:
        await self._run(
            room_scripts.BAN_FROM_ROOM,
            keys=[ROOMS, user_key(by.id), user_key(user), members_key(room), bans_key(room)],
            args=[room, user, int(by.is_admin), now_ms, what, self._max_places],
        )

    async def ban_everywhere(self, user: str, *, now_ms: int) -> None:
        """Ban a user from all rooms, also those that are created later. Nothing is checked here."""
        await self._all(
            ["HSET", user_key(user), EVERYWHERE, BANNED],
            ["ZADD", BANNED_EVERYWHERE, now_ms, user],
        )

    async def unban_everywhere(self, user: str) -> None:
        """End a user's ban from all rooms; bans from single rooms stay. Nothing is checked here."""
        await self._all(["HDEL", user_key(user), EVERYWHERE], ["ZREM", BANNED_EVERYWHERE, user])

    async def _all(self, *commands: Sequence[str | int]) -> None:
        for failed in await self._redis.transaction(commands, repeatable=True):
            if isinstance(failed, RedisError):
                raise failed

    async def _run(self, script: Script, *, keys: Sequence[str], args: Sequence[str | int]) -> str:
        # Repeatable: a script says what shall be, so a repeat after a lost answer does no harm.
        result: str
        result, _ = await self._redis.script(script, keys=keys, args=args, repeatable=True)
        if refusal := REFUSALS.get(result):
            raise refusal()
        return result
