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
    """The role of a member in a room, from least to most.

    A reader reads. A member also sends messages and shows presence. A moderator also appoints and
    bans others, and may edit and delete the messages of others.
    """

    READER = "reader"
    MEMBER = "member"
    MODERATOR = "moderator"

    @property
    def rank(self) -> int:
        """The role as a number, 1 for the lowest. The store keeps it as the member's score."""
        return list(Role).index(self) + 1

    @classmethod
    def of_rank(cls, rank: float) -> "Role":
        """Return the role of a score that the store keeps."""
        return list(Role)[int(rank) - 1]


def parse_room(text: str, *, name: str = "room") -> RoomId:
    """Read a room id that a caller sent. Raises ValidationFailed naming the field `name`."""
    if not is_segment(text) or text in DOT_SEGMENTS:
        message = "1 to 64 letters, digits or _.~-, and neither . nor .."
        raise ValidationFailed(errors=[{"field": name, "message": message}])
    return RoomId(text)


def parse_user(text: str) -> str:
    """Return the segment of a user named in a path. Raises ValidationFailed naming `user`."""
    try:
        return addressed_user(text)
    except InvalidUserId as error:
        raise ValidationFailed(errors=[{"field": "user", "message": str(error)}]) from None


@dataclass(frozen=True, slots=True)
class Standing:
    """What one user is in all rooms.

    `memberships` are the rooms that the user is in, `invitations` those with the role offered
    there, and `bans` the rooms that the user is banned from. `is_banned` says that the user is
    banned from all rooms; memberships are kept meanwhile.
    """

    memberships: Mapping[RoomId, Role] = field(default_factory=dict)
    invitations: Mapping[RoomId, Role] = field(default_factory=dict)
    bans: frozenset[RoomId] = frozenset()
    is_banned: bool = False

    @classmethod
    def parse(cls, stored: Mapping[str, str]) -> Self:
        """Read the hash of a user in the store: from room ids to what the user is there."""
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
