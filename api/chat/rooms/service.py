"""The rules of rooms: who may create, see, join and leave them, and who decides about others."""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import structlog

from api.chat.ably.rest import AblyRest
from api.chat.problems import AblyRefused, AblyUnavailable, NotAllowedInRoom, UnknownRoom
from api.chat.rooms.standing import Role, RoomId
from api.chat.rooms.store import Member, Room, RoomStore
from api.events import TopicName
from api.problems import Forbidden
from api.security.grants import Access
from api.security.principal import Principal
from api.security.rates import RateLimiter

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class VisibleRoom:
    """A room as one user sees it.

    `role` is the user's role there and `invited_as` the role that an invitation offers; both are
    None for a public room that the user is not in.
    """

    id: RoomId
    room: Room
    role: Role | None = None
    invited_as: Role | None = None


@dataclass(frozen=True, slots=True)
class Appointment:
    """The result of an appointment: an invitation, or another role of a member.

    `is_revoked` is True when Ably ended the tokens that the member had; it is False for an
    invitation.
    """

    is_invitation: bool
    is_revoked: bool


@dataclass(frozen=True, slots=True)
class ChatRooms:
    """What callers may do with rooms. Admins may do whatever moderators may.

    `ably` is None when no API key of Ably is set. `clock` gives epoch seconds. `feed_of` gives the
    activity feed that the members of a room may read too; None means that rooms have no feeds.
    Every method raises `RedisError`.
    """

    rooms: RoomStore
    ably: AblyRest | None
    access: Access
    rate: RateLimiter
    clock: Callable[[], float]
    feed_of: Callable[[RoomId], TopicName] | None = None

    async def create(
        self, principal: Principal, room: RoomId, *, title: str, is_public: bool, joins_as: Role
    ) -> VisibleRoom:
        """Create a room, with the caller as its moderator.

        `joins_as` is the role of those who join without an invitation. Raises RoomConflict,
        RoomEnded, Banned, RateLimited, and StoreUnavailable as `Access.can_read`.
        """
        # Limited, because ids are kept for ever: nobody may fill the store with them.
        self.rate.take(principal.id)
        facts = Room(title, is_public, joins_as, principal.id, self._now_ms())
        await self.rooms.create(room, facts, unused=await self._feeds_of_others(principal, room))
        return VisibleRoom(room, facts, Role.MODERATOR)

    async def mine(self, principal: Principal) -> list[VisibleRoom]:
        """Return the rooms that the caller is in or is invited to; two commands.

        A caller who is banned from all rooms gets none.
        """
        standing = await self.rooms.standing(principal.id)
        if standing.is_banned:
            return []
        facts = await self.rooms.facts([*standing.memberships, *standing.invitations])
        return [
            VisibleRoom(room, one, standing.memberships.get(room), standing.invitations.get(room))
            for room, one in facts.items()
        ]

    async def public(self, *, after: str, limit: int) -> list[VisibleRoom]:
        """Return the public rooms with an id above `after`, in the order of ids, `limit` at most.

        An `after` of "" begins at the first. Costs two commands.
        """
        facts = await self.rooms.facts(await self.rooms.public(after=after, limit=limit))
        return [VisibleRoom(room, one) for room, one in facts.items()]

    async def get(self, principal: Principal, room: RoomId) -> VisibleRoom:
        """Return a room as the caller sees it.

        Raises UnknownRoom if it does not exist, and for a private room that the caller neither is
        in nor is invited to, unless the caller is an admin.
        """
        facts = (await self.rooms.facts([room])).get(room)
        standing = await self.rooms.standing(principal.id)
        role, invited = standing.memberships.get(room), standing.invitations.get(room)
        if facts is None or not (facts.is_public or role or invited or principal.is_admin):
            raise UnknownRoom
        return VisibleRoom(room, facts, role, invited)

    async def members(
        self, principal: Principal, room: RoomId, *, offset: int, limit: int
    ) -> list[Member]:
        """Return `limit` members at most, moderators first, after the first `offset` members.

        Raises UnknownRoom for callers who are not members themselves.
        """
        await self._require(principal, room, {*Role})
        return await self.rooms.members(room, offset=offset, limit=limit)

    async def banned(
        self, principal: Principal, room: RoomId | None, *, offset: int, limit: int
    ) -> list[str]:
        """Return `limit` users at most who are banned from `room`, the newest ban first.

        The first `offset` users are skipped. A `room` of None asks for the bans from all rooms,
        which only admins may see. Raises UnknownRoom, NotAllowedInRoom and Forbidden.
        """
        await self._require_moderator(principal, room)
        return await self.rooms.banned(room, offset=offset, limit=limit)

    async def ban(self, principal: Principal, room: RoomId | None, user: str) -> bool:
        """Ban a user from `room`, or from all rooms if it is None; revoke the user's Ably tokens.

        Returns False when Ably did not revoke them. The ban is stored all the same, and the tokens
        end when their time is over. Raises UnknownRoom, NotAllowedInRoom (also for a ban of
        oneself) and Forbidden.
        """
        if user == principal.id:
            raise NotAllowedInRoom("Nobody bans oneself; leave the room.")
        # The ban first: a client whose token is revoked asks for a new one at once.
        if room is None:
            _require_admin(principal)
            await self.rooms.ban_everywhere(user, now_ms=self._now_ms())
        else:
            await self.rooms.ban(principal, room, user, now_ms=self._now_ms())
        return await self._revoke(user)

    async def unban(self, principal: Principal, room: RoomId | None, user: str) -> None:
        """Lift a user's ban from `room`, or the ban from all rooms if it is None.

        A ban from one room has ended the membership, so the user has to join again. Raises
        UnknownRoom, NotAllowedInRoom and Forbidden.
        """
        if room is None:
            _require_admin(principal)
            await self.rooms.unban_everywhere(user)
        else:
            await self.rooms.unban(principal, room, user)

    async def join(self, principal: Principal, room: RoomId) -> Role:
        """Join a room, and return the caller's role there; a member keeps the present role.

        Raises UnknownRoom, Banned, and RoomConflict for a user who is in as many rooms as are
        allowed.
        """
        return await self.rooms.join(principal.id, room)

    async def appoint(
        self, principal: Principal, room: RoomId, user: str, role: Role
    ) -> Appointment:
        """Invite a user to a room, or give a member another role.

        A member's tokens are revoked, because they still grant what the former role did. Raises
        UnknownRoom, NotAllowedInRoom, and RoomConflict for a banned user or the last moderator.
        """
        if await self.rooms.appoint(principal, room, user, role):
            return Appointment(is_invitation=True, is_revoked=False)
        return Appointment(is_invitation=False, is_revoked=await self._revoke(user))

    async def leave(self, principal: Principal, room: RoomId) -> None:
        """End the caller's membership or invitation; nothing happens if there is none.

        Raises RoomConflict for the last moderator of a room that has other members.
        """
        await self.rooms.leave(principal.id, room)

    async def _feeds_of_others(self, principal: Principal, room: RoomId) -> list[TopicName]:
        """Return the feed that a new room would open to its members, if the caller may not read it.

        This protects feeds: everybody may choose the id of a room, and with the id of a workspace
        of others would otherwise read its feed.
        """
        if self.feed_of is None:
            return []
        feed = self.feed_of(room)
        return [] if await self.access.can_read(principal, feed) else [feed]

    async def _revoke(self, user: str) -> bool:
        if self.ably is None:
            return False
        try:
            await self.ably.revoke(user)
        except (AblyRefused, AblyUnavailable) as error:
            log.warning("chat.revoke_failed", problem=error.code)
            return False
        return True

    async def _require_moderator(self, principal: Principal, room: RoomId | None) -> None:
        if room is None:
            _require_admin(principal)
        else:
            await self._require(principal, room, {Role.MODERATOR})

    async def _require(self, principal: Principal, room: RoomId, roles: AbstractSet[Role]) -> None:
        role = await self.rooms.role(principal.id, room)
        if role is None and principal.is_admin and await self.rooms.facts([room]):
            return
        if role is None:
            raise UnknownRoom
        if role not in roles and not principal.is_admin:
            raise NotAllowedInRoom

    def _now_ms(self) -> int:
        return int(self.clock() * 1000)


def _require_admin(principal: Principal) -> None:
    if not principal.is_admin:
        raise Forbidden("Only the role admin bans everywhere.")
