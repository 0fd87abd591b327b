"""The routes `…/bans`: list, set and lift bans from one room and from all rooms."""

from litestar import Controller, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from api.chat.chat import Chat
from api.chat.http.models import BanBody, BannedView, BansView, following
from api.chat.http.parameters import NO_STORE, Offset, PageLimit
from api.chat.problems import DECIDING, IN_ROOM, NotAllowedInRoom
from api.chat.rooms.standing import parse_room, parse_user
from api.problems import Forbidden, ForeignOrigin, ValidationFailed
from api.security.principal import Principal


class RoomBansController(Controller):
    """`/api/chat/rooms/{room}/bans`: bans from one room, for its moderators."""

    path = "/api/chat/rooms/{room:str}/bans"
    tags = ("chat",)
    chat: Chat

    @get(name="list_room_bans", opt={"problems": (*IN_ROOM, NotAllowedInRoom)})
    async def list_bans(
        self,
        *,
        room: FromPath[str],
        principal: NamedDependency[Principal],
        offset: Offset = 0,
        limit: PageLimit = 50,
    ) -> Response[BansView]:
        """List the users who are banned from the room, newest ban first; for moderators."""
        page = {"offset": offset, "limit": limit}
        users = await self.chat.rooms.banned(principal, parse_room(room), **page)
        return _page(users, offset, limit)

    @post(name="ban_from_room", status_code=200, opt={"problems": DECIDING})
    async def ban(
        self, room: FromPath[str], data: JSONBody[BanBody], principal: NamedDependency[Principal]
    ) -> BannedView:
        """Ban a user from the room: ends the membership and the user's tokens; for moderators."""
        revoked = await self.chat.rooms.ban(principal, parse_room(room), data.user)
        return BannedView(user=data.user, is_revoked=revoked)

    @delete("/{user:str}", name="unban_from_room", opt={"problems": DECIDING})
    async def unban(
        self, room: FromPath[str], user: FromPath[str], principal: NamedDependency[Principal]
    ) -> None:
        """Lift a user's ban from the room, so that the user can join again; for moderators."""
        name = parse_user(user)
        await self.chat.rooms.unban(principal, parse_room(room), name)


class BansController(Controller):
    """`/api/chat/bans`: bans from all rooms, for admins."""

    path = "/api/chat/bans"
    tags = ("chat",)
    chat: Chat

    @get(name="list_bans", opt={"problems": (Forbidden,)})
    async def list_bans(
        self,
        *,
        principal: NamedDependency[Principal],
        offset: Offset = 0,
        limit: PageLimit = 50,
    ) -> Response[BansView]:
        """List the users who are banned from all rooms, newest ban first; for admins."""
        users = await self.chat.rooms.banned(principal, None, offset=offset, limit=limit)
        return _page(users, offset, limit)

    @post(
        name="ban",
        status_code=200,
        opt={"problems": (Forbidden, ForeignOrigin, NotAllowedInRoom)},
    )
    async def ban(
        self, data: JSONBody[BanBody], principal: NamedDependency[Principal]
    ) -> BannedView:
        """Ban a user from all rooms, and end the user's tokens; for admins."""
        revoked = await self.chat.rooms.ban(principal, None, data.user)
        return BannedView(user=data.user, is_revoked=revoked)

    @delete(
        "/{user:str}",
        name="unban",
        opt={"problems": (Forbidden, ForeignOrigin, ValidationFailed)},
    )
    async def unban(self, user: FromPath[str], principal: NamedDependency[Principal]) -> None:
        """Lift a user's ban from all rooms. The user's memberships are as before; for admins."""
        await self.chat.rooms.unban(principal, None, parse_user(user))


def _page(users: list[str], offset: int, limit: int) -> Response[BansView]:
    view = BansView(users=users, offset=following(users, offset, limit))
    return Response(view, headers=NO_STORE)
