"""Decides who gets a token for Ably, for which rooms, and for how long."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from api.chat.ably.errors import NoRooms, TooManyRooms
from api.chat.problems import Banned
from api.chat.rooms.standing import Role, RoomId, Standing
from api.chat.rooms.store import RoomStore
from api.chat.tokens.capability import Policy
from api.chat.tokens.issuer import TokenIssuer, TokenRequest
from api.problems import Unauthorized
from api.security.principal import Principal
from api.security.rates import RateLimiter

# Ably's own default, and its maximum for a key whose tokens can be revoked.
TTL_S: Final = 3600.0
# A JWT travels in the URL of the connection, which bounds it. A token request is a body, and
# has room for some hundreds of rooms, more than one page needs at once.
MAX_JWT_BYTES: Final = 8192
MAX_CAPABILITY_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client asks for when it asks for a token.

    `rooms` limits the token to these rooms; None means all rooms of the user. `ttl_ms` shortens its
    life; None means as long as is allowed. `is_jwt` asks for a JWT and not for a token request.
    """

    rooms: frozenset[str] | None = None
    ttl_ms: int | None = None
    is_jwt: bool = False


@dataclass(frozen=True, slots=True)
class TokenService:
    """Issues Ably tokens to members of rooms. `clock` gives epoch seconds."""

    issuer: TokenIssuer
    rooms: RoomStore
    policy: Policy
    rate: RateLimiter
    clock: Callable[[], float]

    async def issue(self, principal: Principal, wanted: Wanted) -> TokenRequest | str:
        """Return a token request, or a JWT, for the caller's rooms; `wanted` may name some of them.

        Costs one command, and one more for a user who was banned somewhere. Raises RateLimited,
        Banned, NoRooms, TooManyRooms, and Unauthorized when the caller's session is about to end.
        """
        self.rate.take(principal.id)
        ttl_ms = self._ttl_ms(principal, wanted)
        rooms = await self._rooms(await self.rooms.standing(principal.id), wanted)
        capability = self.policy.capability(rooms)
        if wanted.is_jwt:
            token = self.issuer.issue_jwt(
                client_id=principal.id, capability=capability, ttl_ms=ttl_ms
            )
            return _bounded(token, len(token), MAX_JWT_BYTES)
        request = self.issuer.issue(client_id=principal.id, capability=capability, ttl_ms=ttl_ms)
        return _bounded(request, len(capability), MAX_CAPABILITY_BYTES)

    def _ttl_ms(self, principal: Principal, wanted: Wanted) -> int:
        """Return how long the token may last: not longer than the caller's session."""
        left_s = TTL_S
        if principal.expires_at is not None:
            left_s = min(left_s, principal.expires_at - self.clock())
        if left_s < 1:
            raise Unauthorized("The session is about to end.")
        longest_ms = int(left_s * 1000)
        return min(longest_ms, wanted.ttl_ms) if wanted.ttl_ms else longest_ms

    async def _rooms(self, standing: Standing, wanted: Wanted) -> Mapping[RoomId, Role]:
        if standing.is_banned:
            raise Banned
        all_rooms = standing.memberships
        asked = all_rooms if wanted.rooms is None else wanted.rooms
        rooms = {room: role for room, role in all_rooms.items() if room in asked}
        if rooms:
            return rooms
        # `Banned` ends the connection for good, which is right for a user who has no room left.
        # A ban from a room that has ended does not count.
        bans = [room for room in standing.bans if wanted.rooms is None or room in wanted.rooms]
        if await self.rooms.facts(bans):
            raise Banned
        raise NoRooms


def _bounded(token: TokenRequest | str, size: int, most: int) -> TokenRequest | str:
    if size > most:
        raise TooManyRooms(f"Your rooms make {size} bytes, {most} are possible.")
    return token
