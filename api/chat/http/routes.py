"""The routes below `/api/chat/rooms` for rooms and messages, and the list of all routes of chat."""

from uuid import uuid4

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from api.chat.chat import Chat
from api.chat.http.ban_routes import BansController, RoomBansController
from api.chat.http.models import (
    AppointBody,
    AppointedView,
    ChatHistoryView,
    JoinedView,
    MembersView,
    MessageBody,
    PresenceView,
    RoomBody,
    RoomsView,
    RoomView,
    SentView,
    following,
)
from api.chat.http.parameters import NO_STORE, After, BeforeMessage, Offset, PageLimit, Scope
from api.chat.http.token_routes import TokenController
from api.chat.http.webhook_routes import WebhookController
from api.chat.problems import (
    CHANGING,
    DECIDING,
    IN_ROOM,
    ON_ABLY,
    Banned,
    MessageRefused,
    NotAllowedInRoom,
    RoomConflict,
    RoomEnded,
)
from api.chat.rooms.service import VisibleRoom
from api.chat.rooms.standing import parse_room
from api.controllers import bound
from api.events import IdempotencyHeader
from api.problems import (
    ForeignOrigin,
    InvalidCursor,
    PublishUncertain,
    RateLimited,
    ValidationFailed,
)
from api.security.principal import Principal


class RoomsController(Controller):
    """`/api/chat/rooms`: create, list, read, join and leave rooms, and appoint their members."""

    path = "/api/chat/rooms"
    tags = ("chat",)
    chat: Chat

    @post(
        name="create_room",
        opt={"problems": (ForeignOrigin, Banned, RoomConflict, RoomEnded, RateLimited)},
    )
    async def create(
        self, data: JSONBody[RoomBody], principal: NamedDependency[Principal]
    ) -> Response[RoomView]:
        """Create a room, under an id that no room ever had. The caller becomes its moderator."""
        room = parse_room(data.id or uuid4().hex, name="id")
        seen = await self.chat.rooms.create(
            principal, room, title=data.title, is_public=data.is_public, joins_as=data.joins_as
        )
        headers = {"Location": f"/api/chat/rooms/{room}"}
        return Response(self._view(seen), headers=headers)

    @get(name="list_rooms")
    async def list_rooms(
        self,
        *,
        principal: NamedDependency[Principal],
        which: Scope = "mine",
        after: After = "",
        limit: PageLimit = 50,
    ) -> Response[RoomsView]:
        """List the caller's rooms and invitations, or a page of all public rooms."""
        if which == "mine":
            rooms = await self.chat.rooms.mine(principal)
        else:
            rooms = await self.chat.rooms.public(after=after, limit=limit)
        is_full = which == "public" and len(rooms) == limit
        view = RoomsView(rooms=[*map(self._view, rooms)], after=rooms[-1].id if is_full else None)
        return Response(view, headers=NO_STORE)

    @get("/{room:str}", name="read_room", opt={"problems": IN_ROOM})
    async def read(
        self, room: FromPath[str], principal: NamedDependency[Principal]
    ) -> Response[RoomView]:
        """Read a room that the caller is in, is invited to, or may join."""
        seen = await self.chat.rooms.get(principal, parse_room(room))
        return Response(self._view(seen), headers=NO_STORE)

    @post(
        "/{room:str}/join",
        name="join_room",
        status_code=200,
        opt={"problems": (*CHANGING, Banned, RoomConflict)},
    )
    async def join(self, room: FromPath[str], principal: NamedDependency[Principal]) -> JoinedView:
        """Join a public room, or one that the caller is invited to. Answers the role there."""
        return JoinedView(role=await self.chat.rooms.join(principal, parse_room(room)))

    @post(
        "/{room:str}/leave",
        name="leave_room",
        status_code=204,
        opt={"problems": (ValidationFailed, ForeignOrigin, RoomConflict)},
    )
    async def leave(self, room: FromPath[str], principal: NamedDependency[Principal]) -> None:
        """Leave a room, or decline an invitation. The room ends when its last member leaves."""
        await self.chat.rooms.leave(principal, parse_room(room))

    @get("/{room:str}/members", name="list_members", opt={"problems": (*IN_ROOM, NotAllowedInRoom)})
    async def members(
        self,
        *,
        room: FromPath[str],
        principal: NamedDependency[Principal],
        offset: Offset = 0,
        limit: PageLimit = 50,
    ) -> Response[MembersView]:
        """List a page of a room's members, moderators first; for members."""
        page = {"offset": offset, "limit": limit}
        found = await self.chat.rooms.members(principal, parse_room(room), **page)
        view = MembersView.of(found, following=following(found, offset, limit))
        return Response(view, headers=NO_STORE)

    @post("/{room:str}/members", name="appoint_member", status_code=200, opt={"problems": DECIDING})
    async def appoint(
        self,
        room: FromPath[str],
        data: JSONBody[AppointBody],
        principal: NamedDependency[Principal],
    ) -> AppointedView:
        """Invite a user, or give a member another role; for moderators."""
        name = parse_room(room)
        done = await self.chat.rooms.appoint(principal, name, data.user, data.role)
        return AppointedView(
            user=data.user,
            role=data.role,
            is_invitation=done.is_invitation,
            is_revoked=done.is_revoked,
        )

    def _view(self, seen: VisibleRoom) -> RoomView:
        return RoomView.of(seen, self.chat.channels.of(seen.id))


class MessagesController(Controller):
    """`/api/chat/rooms/{room}/messages` and `/presence`: send messages, read what Ably keeps."""

    path = "/api/chat/rooms/{room:str}"
    tags = ("chat",)
    chat: Chat

    @post(
        "/messages",
        name="send_message",
        opt={
            "problems": (
                *(*CHANGING, *ON_ABLY),
                *(NotAllowedInRoom, MessageRefused, RateLimited, PublishUncertain),
            )
        },
    )
    async def send(
        self,
        *,
        room: FromPath[str],
        data: JSONBody[MessageBody],
        principal: NamedDependency[Principal],
        idempotency_key: IdempotencyHeader = None,
    ) -> SentView:
        """Send a message through our moderation. With an Idempotency-Key it is sent only once."""
        sent = await self.chat.online.messages.send(
            principal, parse_room(room), name=data.name, data=data.data, key=idempotency_key
        )
        return SentView(id=sent)

    @get("/messages", name="read_messages", opt={"problems": (*IN_ROOM, *ON_ABLY, InvalidCursor)})
    async def history(
        self,
        *,
        room: FromPath[str],
        principal: NamedDependency[Principal],
        limit: PageLimit = 50,
        before: BeforeMessage = None,
    ) -> Response[ChatHistoryView]:
        """Read a page of a room's history, newest message first, as long as Ably keeps it."""
        past = await self.chat.online.messages.history(
            principal, parse_room(room), limit=limit, before=before
        )
        view = ChatHistoryView.of(list(past.messages), past.before)
        return Response(view, headers=NO_STORE)

    @get("/presence", name="read_presence", opt={"problems": (*IN_ROOM, *ON_ABLY)})
    async def presence(
        self, room: FromPath[str], principal: NamedDependency[Principal]
    ) -> Response[PresenceView]:
        """List the users who are present in a room now."""
        found = await self.chat.online.messages.present(principal, parse_room(room))
        return Response(PresenceView.of(found), headers=NO_STORE)


def chat_routes(chat: Chat) -> list[type[Controller]]:
    """Build the controllers of all routes of chat, which work with `chat`."""
    controllers = (
        *(RoomsController, MessagesController, RoomBansController, BansController),
        *(TokenController, WebhookController),
    )
    return [bound(one, chat=chat) for one in controllers]
