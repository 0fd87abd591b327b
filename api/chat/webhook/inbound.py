"""Reads the body of a webhook request, which has two forms, into messages of our rooms."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from api.chat.ably.encoding import decode
from api.chat.rooms.standing import RoomId
from api.chat.tokens.capability import CHAT_SUFFIX, Channels
from api.problems import PayloadTooLarge, ValidationFailed
from api.security.patterns import is_segment

MAX_ITEMS: Final = 1000
MAX_ID_CHARS: Final = 256
MAX_TIMESTAMP: Final = 2**53  # milliseconds; larger integers are not exact in JavaScript
# Ably's numbers for what happened to a message. Others, such as summaries, are not messages.
ACTIONS: Final = {0: "created", 1: "updated", 2: "deleted"}
ACTION_NAMES: Final = {"message.create": 0, "message.update": 1, "message.delete": 2}
PRESENCE: Final = {2: "enter", 3: "leave", 4: "update"}


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of a room that Ably delivered, decoded.

    `key` is the same in each delivery of this message and of no other message. `timestamp` is in
    epoch milliseconds by Ably's clock. `encoding` is what could not be decoded, "" for nothing.
    `action` is created, updated or deleted. `is_of_chat_sdk` says that it came by the channel of
    Ably's Chat SDK.
    """

    room: RoomId
    key: str
    id: str
    name: str | None
    data: Any
    encoding: str
    client_id: str | None
    timestamp: int
    action: str = "created"
    serial: str | None = None
    extras: Mapping[str, Any] = field(default_factory=dict)
    is_of_chat_sdk: bool = False

    @property
    def text(self) -> str:
        """The text for people: the data if it is a text, or its member `text`, or ""."""
        data = self.data.get("text") if isinstance(self.data, dict) else self.data
        return data if isinstance(data, str) else ""


@dataclass(frozen=True, slots=True)
class PresenceChange:
    """A user entered or left a room, or changed the data shown there.

    `action` is enter, leave or update. The other fields are as in `ChatMessage`.
    """

    room: RoomId
    key: str
    id: str
    action: str
    client_id: str
    data: Any
    encoding: str
    timestamp: int


Inbound = ChatMessage | PresenceChange


def read_delivery(body: Any, channels: Channels) -> tuple[list[Inbound], int]:
    """Return the messages and presence changes of our rooms, and how many other items there are.

    `body` is the parsed JSON of the request. Other items are those of other channels or sources,
    signals of the moment such as typing, and malformed ones: another delivery would not change
    them. Raises ValidationFailed for a body that is no delivery, and PayloadTooLarge for more than
    `MAX_ITEMS` items.
    """
    found: list[Inbound] = []
    ignored = 0
    for channel, given in _given(body):
        one = _read(channel, given, channels)
        if one is None:
            ignored += 1
            continue
        found.append(one)
    return found, ignored


def _given(body: Any) -> Iterator[tuple[str, Any]]:
    """Yield the channel and the fields of each item, with its `kind`; None for malformed ones."""
    items = body.get("items") if isinstance(body, dict) else None
    if isinstance(items, list):
        envelopes = [_envelope(item) for item in items]
    elif isinstance(body, dict) and "source" in body:
        envelopes = [body]
    else:
        raise ValidationFailed(errors=[{"field": "items", "message": "This is no delivery."}])
    entries = [entry for envelope in envelopes for entry in _entries(envelope)]
    if max(len(envelopes), len(entries)) > MAX_ITEMS:
        raise PayloadTooLarge(f"A delivery may have {MAX_ITEMS} items.")
    yield from entries


def _envelope(item: Any) -> Any:
    """Return an item of a batch in the form of a single delivery; None if it is malformed."""
    data = item.get("data") if isinstance(item, dict) else None
    if not isinstance(data, dict):
        return None
    base = {"source": item.get("source"), "timestamp": item.get("timestamp")}
    return {**base, **data, "channel": data.get("channelId")}


def _entries(envelope: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(envelope, dict):
        yield "", None
        return
    channel = str(envelope.get("channel"))
    kinds = {"channel.message": "messages", "channel.presence": "presence"}
    kind = kinds.get(str(envelope.get("source")), "")
    given = envelope.get(kind)
    if not isinstance(given, list):
        yield channel, None
        return
    for one in given:
        # The envelope has these once; not every message in it repeats them.
        shared = {"kind": kind, "timestamp": envelope.get("timestamp")}
        yield channel, {**shared, **one} if isinstance(one, dict) else None


def _read(channel: str, given: Any, channels: Channels) -> Inbound | None:
    room = channels.room(channel)
    if room is None or not _is_sound(given):
        return None
    if given["kind"] == "presence":
        return _presence(channel, room, given)
    return _message(channel, room, given)


def _is_sound(given: Any) -> bool:
    if not isinstance(given, dict) or not isinstance(given.get("timestamp"), int):
        return False
    if not 0 <= given["timestamp"] <= MAX_TIMESTAMP:
        return False
    names = ("id", "name", "encoding", "clientId", "serial")
    texts = [given.get(name) for name in names]
    return all(text is None or isinstance(text, str) for text in texts) and bool(
        given.get("id") or given.get("serial")
    )


def _message(channel: str, room: RoomId, given: Mapping[str, Any]) -> ChatMessage | None:
    extras = given.get("extras")
    extras = extras if isinstance(extras, dict) else {}
    action = _action(given.get("action"))
    # Typing and reactions are signals of the moment, which nobody needs later.
    if action is None or extras.get("ephemeral"):
        return None
    data, encoding = decode(given.get("data"), given.get("encoding") or "")
    return ChatMessage(
        room=room,
        key=f"{channel}\n{_identity(given)}\n{action}\n{_version(given)}",
        id=_identity(given),
        name=given.get("name"),
        data=data,
        encoding=encoding,
        client_id=given.get("clientId"),
        timestamp=given["timestamp"],
        action=action,
        serial=given.get("serial"),
        extras=extras,
        is_of_chat_sdk=channel.endswith(CHAT_SUFFIX),
    )


def _action(given: Any) -> str | None:
    if isinstance(given, str):  # as the SDKs call them
        given = ACTION_NAMES.get(given, "")
    if given is None:
        return ACTIONS[0]
    return ACTIONS.get(given) if isinstance(given, int) else None


def _presence(channel: str, room: RoomId, given: Mapping[str, Any]) -> PresenceChange | None:
    action = given.get("action")
    name = PRESENCE.get(action) if isinstance(action, int) else action
    client_id = given.get("clientId")
    if name not in PRESENCE.values() or client_id is None or not is_segment(client_id):
        return None
    data, encoding = decode(given.get("data"), given.get("encoding") or "")
    return PresenceChange(
        room=room,
        key=f"{channel}\n{_identity(given)}\n{name}",
        id=_identity(given),
        action=str(name),
        client_id=client_id,
        data=data,
        encoding=encoding,
        timestamp=given["timestamp"],
    )


def _identity(given: Mapping[str, Any]) -> str:
    return str(given.get("id") or given.get("serial"))[:MAX_ID_CHARS]


def _version(given: Mapping[str, Any]) -> str:
    """Return which version of a changed message this is, in Ably's form; "" if not said."""
    version = given.get("version")
    text = version.get("serial") if isinstance(version, dict) else version
    return str(text or "")[:MAX_ID_CHARS]
