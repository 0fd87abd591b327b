"""The request and response bodies of chat, as the OpenAPI document describes them."""

from collections.abc import Sequence
from typing import Any, Self

import msgspec
from pydantic import Field

from api.chat.messages.service import PastMessage, Present
from api.chat.rooms.service import VisibleRoom
from api.chat.rooms.standing import Role
from api.chat.rooms.store import Member
from api.chat.webhook.topics import topic_of
from api.payloads.models import Body, View, example
from api.security.users import UserId

SEGMENT = r"^[A-Za-z0-9_.~-]{1,64}$"
MAX_LIMIT = 100


def following(found: Sequence[object], offset: int, limit: int) -> int | None:
    """Return the offset of the next page; None after a page of fewer than `limit` items."""
    return offset + limit if len(found) == limit else None


class RoomBody(Body):
    """Request body of `POST /api/chat/rooms`: the room to create."""

    model_config = example(id="lobby", title="Lobby", is_public=True)

    id: str | None = Field(
        default=None,
        pattern=SEGMENT,
        examples=["lobby"],
        description="Neither `.` nor `..`, nor one that a room has had. At random if left out.",
    )
    title: str = Field(min_length=1, max_length=200, examples=["Lobby"])
    is_public: bool = Field(default=False, description="Whether everybody may see and join it.")
    joins_as: Role = Field(default=Role.MEMBER, description="The role of who joins uninvited.")


class AppointBody(Body):
    """Request body of `POST …/members`: the user to invite, or the member to give another role."""

    model_config = example(user="bob", role="moderator")

    user: UserId = Field(examples=["bob"])
    role: Role = Role.MEMBER


class BanBody(Body):
    """Request body of `POST …/bans`: the user to ban."""

    model_config = example(user="bob")

    user: UserId = Field(examples=["bob"])


class MessageBody(Body):
    """Request body of `POST …/messages`: the message to send."""

    model_config = example(data="hello @bob")

    name: str = Field(default="message", pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,63}$")
    data: Any = Field(examples=["hello @bob"], description="Any JSON.")


class RoomView(View):
    """A room, and what the caller is in it.

    `role` is the caller's role, `invited_as` the role that an invitation offers. Both are null for
    a public room that the caller is not in.
    """

    id: str
    title: str
    is_public: bool
    joins_as: Role
    created_by: str
    created_at: int = Field(description="Epoch milliseconds.")
    topic: str = Field(examples=["room:lobby"], description="Its messages by server-sent events.")
    channel: str = Field(examples=["room:lobby"], description="Its channel on Ably.")
    role: Role | None
    invited_as: Role | None

    @classmethod
    def of(cls, seen: VisibleRoom, channel: str) -> Self:
        """Build the view of a room; `channel` is the name of its channel on Ably."""
        return cls(
            id=seen.id,
            topic=topic_of(seen.id),
            channel=channel,
            role=seen.role,
            invited_as=seen.invited_as,
            **msgspec.structs.asdict(seen.room),
        )


class RoomsView(View):
    """A list of rooms. `after` asks for the next page of public rooms; null on the last page."""

    rooms: list[RoomView]
    after: str | None = None


class JoinedView(View):
    """The role that the caller has in the room after joining it.

    The caller's Ably token does not cover the room yet: call `client.auth.authorize()` of Ably's
    SDK.
    """

    role: Role


class AppointedView(View):
    """The result of an appointment: an invitation, or another role at once."""

    user: str
    role: Role
    is_invitation: bool = Field(description="True until the user has joined.")
    is_revoked: bool = Field(
        description="Whether Ably ended the tokens that a member had by the former role."
    )


class MemberView(View):
    """A member of a room, and the member's role there."""

    user: str
    role: Role


class MembersView(View):
    """A page of members, moderators first. `offset` asks for the next page; null on the last."""

    members: list[MemberView]
    offset: int | None

    @classmethod
    def of(cls, members: list[Member], following: int | None) -> Self:
        """Build the view of a page; `following` is the offset of the next, None on the last."""
        views = [MemberView(user=one.user, role=one.role) for one in members]
        return cls(members=views, offset=following)


class BansView(View):
    """A page of banned users, newest ban first. `offset` asks for the next; null on the last."""

    users: list[str]
    offset: int | None


class BannedView(View):
    """A user who was banned, and whether Ably ended the user's tokens."""

    user: str
    is_revoked: bool = Field(
        description="Whether Ably ended the user's tokens; if not, they end within the hour."
    )


class SentView(View):
    """The id that a message has on Ably after it was sent through us."""

    id: str = Field(description="Ably's id of the message, as the event on the topic has it.")


class ChatMessageView(View):
    """One message of a room's history, decoded."""

    id: str
    name: str | None
    data: Any
    encoding: str = Field(description="What is still encoded, such as a cipher.")
    client_id: str | None
    timestamp: int = Field(description="Epoch milliseconds.")
    serial: str | None


class ChatHistoryView(View):
    """A page of a room's history, newest message first. `before` asks for the next, older page.

    `before` is null on the last page.
    """

    messages: list[ChatMessageView]
    before: str | None

    @classmethod
    def of(cls, messages: list[PastMessage], before: str | None) -> Self:
        """Build the view of a page; `before` is the cursor of the older page, None on the last."""
        views = [ChatMessageView.model_validate(one, from_attributes=True) for one in messages]
        return cls(messages=views, before=before)


class PresentView(View):
    """A user who is present in the room now, on one connection."""

    client_id: str
    data: Any
    timestamp: int


class PresenceView(View):
    """The users who are present in the room now, one entry for each connection to Ably."""

    present: list[PresentView]

    @classmethod
    def of(cls, present: list[Present]) -> Self:
        """Build the view of all entries."""
        return cls(
            present=[PresentView.model_validate(one, from_attributes=True) for one in present]
        )


class TokenRequestView(View):
    """An Ably TokenRequest, which is handed to Ably's SDK unchanged. Times are in milliseconds."""

    keyName: str  # noqa: N815  # Ably's names
    ttl: int
    capability: str
    clientId: str  # noqa: N815
    timestamp: int
    nonce: str
    mac: str


class ReceivedView(View):
    """How many items of a webhook request were stored, were stored before, and were ignored."""

    stored: int
    repeated: int
    ignored: int
