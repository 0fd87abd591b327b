"""The capability of an Ably token: for each room, the operations that the user's role allows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from api.chat.rooms.standing import Role, RoomId
from api.security.patterns import is_segment

CHAT_SUFFIX: Final = "::$chat"
# The names of operations are Ably's: https://ably.com/docs/auth/capabilities.
READING: Final = frozenset({"subscribe", "history"})
WRITING: Final = frozenset({"publish"})
# The operations that Ably's Chat SDK needs in addition, on its own channel of a room.
CHAT_READING: Final = frozenset({"annotation-subscribe"})
CHAT_WRITING: Final = frozenset({"annotation-publish", "message-update-own", "message-delete-own"})
CHAT_PRESENCE: Final = frozenset({"presence", "channel-metadata"})
MODERATING: Final = frozenset({"message-update-any", "message-delete-any"})


@dataclass(frozen=True, slots=True)
class Channels:
    """Translates between rooms and their channels on Ably.

    A room has the channel `room:<id>`, with `<namespace>:` before it if a namespace is set, and
    also the channel of Ably's Chat SDK, which ends in `::$chat`. An id is one topic segment, so no
    room's name can be a wildcard, a qualifier or another room's channel.
    """

    namespace: str | None = None

    def of(self, room: RoomId) -> str:
        """Return the name of the room's channel on Ably."""
        prefix = f"{self.namespace}:" if self.namespace else ""
        return f"{prefix}room:{room}"

    def room(self, channel: str) -> RoomId | None:
        """Return the room that a channel belongs to; None for a channel that is not one of ours."""
        prefix = self.of(RoomId(""))
        room = channel.removeprefix(prefix).removesuffix(CHAT_SUFFIX)
        return RoomId(room) if channel.startswith(prefix) and is_segment(room) else None


@dataclass(frozen=True, slots=True)
class Policy:
    """Makes capabilities. `may_publish` says whether members send to Ably themselves.

    If they do not, all messages come through us and pass our moderation.
    """

    channels: Channels
    may_publish: bool = True

    def capability(self, memberships: Mapping[RoomId, Role]) -> str:
        """Return the capability for these rooms and roles, as the JSON text that is signed.

        It names both channels of each room, and is `{}` for no rooms.
        """
        granted: dict[str, list[str]] = {}
        for room, role in memberships.items():
            channel = self.channels.of(room)
            granted[channel] = sorted(self._operations(role))
            granted[f"{channel}{CHAT_SUFFIX}"] = sorted(self._chat_operations(role))
        return msgspec.json.encode(granted).decode()

    def _operations(self, role: Role) -> Iterable[str]:
        if role is Role.READER:
            return READING
        allowed = READING | {"presence"}
        if self.may_publish:
            allowed |= WRITING
        return allowed | MODERATING if role is Role.MODERATOR else allowed

    def _chat_operations(self, role: Role) -> Iterable[str]:
        allowed = frozenset(self._operations(role)) | CHAT_READING
        if role is Role.READER:
            return allowed
        return allowed | CHAT_PRESENCE | (CHAT_WRITING if self.may_publish else frozenset())
