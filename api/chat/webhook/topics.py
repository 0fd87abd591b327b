"""The topics `room:<id>`: who may read them, and what their events hold."""

from typing import Any, Final

import msgspec
from pydantic import Field

from api.chat.rooms.standing import RoomId
from api.chat.rooms.store import RoomStore
from api.chat.webhook.inbound import ChatMessage, Inbound, PresenceChange
from api.events import Draft, TopicName
from api.feature import OwnEventType
from api.payloads.models import View
from api.problems import StoreUnavailable
from api.security.grants import Action
from api.security.principal import Principal
from api.upstash import RedisError

PATTERN = "room:*"


class ChatMessageEvent(View):
    """A message of the room was sent, edited or deleted.

    Sort messages by `serial` or `timestamp`, because their events may come in another order.
    """

    id: str = Field(description="Ably's id of the message.")
    name: str | None = None
    data: Any = None
    encoding: str = Field(default="", description="What is still encoded, such as a cipher.")
    client_id: str | None = Field(default=None, description="The user who sent it.")
    timestamp: int = Field(description="Epoch milliseconds, by Ably's clock.")
    serial: str | None = None
    extras: dict[str, Any] = Field(default_factory=dict)
    is_omitted: bool = Field(default=False, description="Too large for an event: see the history.")


class ChatPresenceEvent(View):
    """A user entered or left the room, or changed the data shown there."""

    id: str
    action: str = Field(examples=["enter", "leave", "update"])
    client_id: str
    data: Any = None
    encoding: str = ""
    timestamp: int


class RoomReaders:
    """Rule that lets the members of a room read its topics, whatever their role.

    It is for topics whose second segment is the id of a room. It lets nobody publish: only the
    webhook publishes there.
    """

    def __init__(self, rooms: RoomStore) -> None:
        self._rooms = rooms

    async def allows(self, principal: Principal, action: Action, topic: str) -> bool:
        """Return True to members of the room who want to read it. Raises StoreUnavailable."""
        if action is not Action.READ:
            return False
        room = RoomId(topic.split(":")[1])
        try:
            return await self._rooms.role(principal.id, room) is not None
        except RedisError as error:
            raise StoreUnavailable from error


# Pages show each `chat.message`; the other types change what they show.
EVENTS: Final = (
    OwnEventType("chat.message", ChatMessageEvent, (PATTERN,), "A message was sent to the room."),
    OwnEventType(
        "chat.message.updated", ChatMessageEvent, (PATTERN,), "A message of the room was edited."
    ),
    OwnEventType(
        "chat.message.deleted", ChatMessageEvent, (PATTERN,), "A message of the room was deleted."
    ),
    OwnEventType("chat.presence", ChatPresenceEvent, (PATTERN,), "Who is in the room has changed."),
)


def topic_of(room: RoomId) -> TopicName:
    """Return the topic of ours that carries the events of the room."""
    return TopicName(f"room:{room}")


def drafts_of(one: Inbound, *, max_bytes: int) -> list[Draft]:
    """Build the event for the room's own topic; the list holds exactly one draft.

    The content of a message is left out, and `is_omitted` set, where the event would have more than
    `max_bytes` bytes as JSON.
    """
    if isinstance(one, PresenceChange):
        presence = ChatPresenceEvent(
            id=one.id,
            action=one.action,
            client_id=one.client_id,
            data=one.data,
            encoding=one.encoding,
            timestamp=one.timestamp,
        )
        return [Draft(topic_of(one.room), "chat.presence", presence.model_dump())]
    kind = "chat.message" if one.action == "created" else f"chat.message.{one.action}"
    return [Draft(topic_of(one.room), kind, _message(one, max_bytes))]


def _message(one: ChatMessage, max_bytes: int) -> dict[str, Any]:
    event = {
        "id": one.id,
        "name": one.name,
        "data": one.data,
        "encoding": one.encoding,
        "client_id": one.client_id,
        "timestamp": one.timestamp,
        "serial": one.serial,
        "extras": dict(one.extras),
    }
    # Ably takes messages that are as large as our events may be, and an event adds some bytes.
    if len(msgspec.json.encode(event)) + 256 > max_bytes:
        return {**event, "data": None, "encoding": "", "extras": {}, "is_omitted": True}
    return event
