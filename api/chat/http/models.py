"""The JSON that comes in and goes out, as the OpenAPI document describes it."""

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
    """Where the next page begins; None after a page that is not full."""
    return offset + limit if len(found) == limit else None


class RoomBody(Body):
    """A room to make."""

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
    """Who to invite or, in the room already, to give another role."""

    model_config = example(user="bob", role="moderator")

    user: UserId = Field(examples=["bob"])
    role: Role = Role.MEMBER


class BanBody(Body):
    """Whom to ban."""

    model_config = example(user="bob")

    user: UserId = Field(examples=["bob"])


class MessageBody(Body):
    """A message to send."""

    model_config = example(data="hello @bob")

    name: str = Field(default="message", pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,63}$")
    data: Any = Field(examples=["hello @bob"], description="Any JSON.")


class RoomView(View):
    """A room: `role` of the caller, or `invited_as`; both null for a public room of others."""

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
        """`seen` as JSON; `channel` is the name of the room's channel on Ably."""
        return cls(
            id=seen.id,
            topic=topic_of(seen.id),
            channel=channel,
            role=seen.role,
            invited_as=seen.invited_as,
            **msgspec.structs.asdict(seen.room),
        )


class RoomsView(View):
    """`after` leads to the next page of public rooms; null at the end."""

    rooms: list[RoomView]
    after: str | None = None


class JoinedView(View):
    """Ask Ably's SDK for a new token now: `client.auth.authorize()`."""

    role: Role


class AppointedView(View):
    """What became of an appointment: an invitation, or another role at once."""

    user: str
    role: Role
    is_invitation: bool = Field(description="True until the user has joined.")
    is_revoked: bool = Field(
        description="Whether Ably ended the tokens that a member had by the former role."
    )


class MemberView(View):
    """A member of a room, and the role there."""

    user: str
    role: Role


class MembersView(View):
    """Moderators first; `offset` leads to the next page, null at the end."""

    members: list[MemberView]
    offset: int | None

    @classmethod
    def of(cls, members: list[Member], following: int | None) -> Self:
        """A page of members; `following` is the offset of the next page, None at the end."""
        views = [MemberView(user=one.user, role=one.role) for one in members]
        return cls(members=views, offset=following)


class BansView(View):
    """The newest first; `offset` leads to the next page, null at the end."""

    users: list[str]
    offset: int | None


class BannedView(View):
    """A user who is banned; `is_revoked` is false where Ably did not end the user's tokens."""

    user: str
    is_revoked: bool = Field(
        description="Whether Ably ended the user's tokens; if not, they end within the hour."
    )


class SentView(View):
    """Ably's id of a message that was sent through us."""

    id: str = Field(description="Ably's id of the message, as the event on the topic has it.")


class ChatMessageView(View):
    """A message of a room's past, as Ably keeps it."""

    id: str
    name: str | None
    data: Any
    encoding: str = Field(description="What is still encoded, such as a cipher.")
    client_id: str | None
    timestamp: int = Field(description="Epoch milliseconds.")
    serial: str | None


class ChatHistoryView(View):
    """A page of a room's past, newest first; `before` leads to the next page, null at the end."""

    messages: list[ChatMessageView]
    before: str | None

    @classmethod
    def of(cls, messages: list[PastMessage], before: str | None) -> Self:
        """A page of messages; `before` asks for the page of older ones, None at the end."""
        views = [ChatMessageView.model_validate(one, from_attributes=True) for one in messages]
        return cls(messages=views, before=before)


class PresentView(View):
    """Somebody who is in the room now, on one connection."""

    client_id: str
    data: Any
    timestamp: int


class PresenceView(View):
    """Who is in the room now, connected to Ably."""

    present: list[PresentView]

    @classmethod
    def of(cls, present: list[Present]) -> Self:
        """All who are in the room now."""
        return cls(
            present=[PresentView.model_validate(one, from_attributes=True) for one in present]
        )


class TokenRequestView(View):
    """An Ably TokenRequest: hand it to Ably's SDK as it is."""

    keyName: str  # noqa: N815  # Ably's names
    ttl: int
    capability: str
    clientId: str  # noqa: N815
    timestamp: int
    nonce: str
    mac: str


class ReceivedView(View):
    """What became of a delivery's messages."""

    stored: int
    repeated: int
    ignored: int
