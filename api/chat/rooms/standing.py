"""What a user is in each room: a member with a role, invited, or banned."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NewType, Self

from api.problems import ValidationFailed
from api.security.patterns import is_segment
from api.security.users import InvalidUserId, addressed_user

RoomId = NewType("RoomId", str)
"""One topic segment: 1 to 64 letters, digits or _.~-, so never a wildcard of Ably's or ours.

Neither `.` nor `..`: clients resolve these in a path, so such a room could not be reached."""

DOT_SEGMENTS: Final = frozenset({".", ".."})
EVERYWHERE: Final = "*"
BANNED: Final = "banned"
INVITED: Final = "invited:"


class Role(StrEnum):
    """What a member may do in a room, from least to most."""

    READER = "reader"
    MEMBER = "member"
    MODERATOR = "moderator"

    @property
    def rank(self) -> int:
        """1 for the lowest role: the score that the store keeps of a member."""
        return list(Role).index(self) + 1

    @classmethod
    def of_rank(cls, rank: float) -> "Role":
        """The role of a score that the store keeps."""
        return list(Role)[int(rank) - 1]


def parse_room(text: str, *, name: str = "room") -> RoomId:
    """Read an id from outside. Raises ValidationFailed naming the field `name`."""
    if not is_segment(text) or text in DOT_SEGMENTS:
        message = "1 to 64 letters, digits or _.~-, and neither . nor .."
        raise ValidationFailed(errors=[{"field": name, "message": message}])
    return RoomId(text)


def parse_user(text: str) -> str:
    """The segment of a user named in a path. Raises ValidationFailed naming `user`."""
    try:
        return addressed_user(text)
    except InvalidUserId as error:
        raise ValidationFailed(errors=[{"field": "user", "message": str(error)}]) from None


@dataclass(frozen=True, slots=True)
class Standing:
    """What one user is in all rooms, read at once.

    `is_banned` is a ban from all rooms; `bans` are the rooms with a ban of their own.
    """

    memberships: Mapping[RoomId, Role] = field(default_factory=dict)
    invitations: Mapping[RoomId, Role] = field(default_factory=dict)
    bans: frozenset[RoomId] = frozenset()
    is_banned: bool = False

    @classmethod
    def parse(cls, stored: Mapping[str, str]) -> Self:
        """Read what the store keeps of a user: the standing in each room, by its id."""
        places = dict(stored)
        is_banned = places.pop(EVERYWHERE, None) is not None
        invited = {k: v.removeprefix(INVITED) for k, v in places.items() if v.startswith(INVITED)}
        banned = {room for room, place in places.items() if place == BANNED}
        rest = places.keys() - invited.keys() - banned
        return cls(
            memberships={RoomId(room): Role(places[room]) for room in sorted(rest)},
            invitations={RoomId(room): Role(role) for room, role in sorted(invited.items())},
            bans=frozenset(map(RoomId, banned)),
            is_banned=is_banned,
        )
