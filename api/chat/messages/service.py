"""Sends messages to rooms through us, and reads the history and the presence of rooms."""

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from api.chat.ably.encoding import decode
from api.chat.ably.rest import AblyRest
from api.chat.messages.moderation import Moderator
from api.chat.problems import NotAllowedInRoom, UnknownRoom
from api.chat.rooms.standing import Role, RoomId
from api.chat.rooms.store import RoomStore
from api.chat.tokens.capability import Channels
from api.problems import InvalidCursor, Unauthorized
from api.security.principal import Principal
from api.security.rates import RateLimiter
from api.security.signing import Signer

PRESENT_AT_MOST: Final = 1000


@dataclass(frozen=True, slots=True)
class PastMessage:
    """One message of a room's history on Ably, decoded.

    `encoding` is what could not be decoded, "" for nothing. `client_id` is the sender, None if Ably
    does not say. `timestamp` is in epoch milliseconds. `serial` is Ably's text that orders
    messages.
    """

    id: str
    name: str | None
    data: Any
    encoding: str
    client_id: str | None
    timestamp: int
    serial: str | None


@dataclass(frozen=True, slots=True)
class History:
    """One page of a room's history, newest message first.

    `before` is the cursor that asks for the next, older page; None on the last page.
    """

    messages: Sequence[PastMessage]
    before: str | None


@dataclass(frozen=True, slots=True)
class Present:
    """A user who is present in a room now, on one connection.

    `data` is the presence data that the user's client has set. `timestamp` is in epoch
    milliseconds.
    """

    client_id: str
    data: Any
    timestamp: int


@dataclass(frozen=True, slots=True)
class Messages:
    """Sends messages to rooms on Ably, and reads what Ably keeps of them.

    Every method raises AblyUnavailable and AblyRefused, unless it says otherwise, and UnknownRoom
    for a caller who is not in the room. An admin who is not in the room counts as its moderator.
    `id_key` is the secret by which an idempotency key becomes the id of a message. `new_id` makes
    ids for messages without a key.
    """

    ably: AblyRest
    rooms: RoomStore
    channels: Channels
    moderator: Moderator
    rate: RateLimiter
    cursors: Signer
    id_key: bytes
    new_id: Callable[[], str]

    async def send(
        self, principal: Principal, room: RoomId, *, name: str, data: Any, key: str | None
    ) -> str:
        """Send a message in the caller's name, and return its id on Ably.

        `name` is Ably's name for the kind of message, and `data` any JSON. With the same
        idempotency key `key` the message is sent once; None is no key. The event on the room's
        topic comes later, by the webhook. Raises NotAllowedInRoom to readers, MessageRefused,
        RateLimited, and PublishUncertain instead of AblyUnavailable.
        """
        if await self._role(principal, room) is Role.READER:
            raise NotAllowedInRoom
        self.moderator.check(data)
        self.rate.take(principal.id)
        message_id = self._id_of(principal.id, room, key) if key else self.new_id()
        message = {"id": message_id, "name": name, "clientId": principal.id, **_data(data)}
        await self.ably.publish(self.channels.of(room), message)
        return message_id

    async def history(
        self, principal: Principal, room: RoomId, *, limit: int, before: str | None
    ) -> History:
        """Return one page of a room's history, `limit` messages at most.

        `before` is the cursor of an earlier page of the same room; None asks for the newest
        messages. Raises InvalidCursor.
        """
        await self._role(principal, room)
        first = {"limit": str(limit), "direction": "backwards"}
        params = self._opened(room, before) if before else first
        page = await self.ably.history(self.channels.of(room), params)
        following = self._sealed(room, page.following) if page.following else None
        return History([_past(item) for item in page.items], following)

    async def present(self, principal: Principal, room: RoomId) -> list[Present]:
        """Return who is present in the room now, as Ably says, one entry for each connection.

        There are `PRESENT_AT_MOST` entries at most.
        """
        await self._role(principal, room)
        page = await self.ably.presence(self.channels.of(room), limit=PRESENT_AT_MOST)
        return [_present(item) for item in page.items if item.get("clientId")]

    async def _role(self, principal: Principal, room: RoomId) -> Role:
        role = await self.rooms.role(principal.id, room)
        if role is None and principal.is_admin and await self.rooms.facts([room]):
            return Role.MODERATOR
        if role is None:
            raise UnknownRoom
        return role

    def _id_of(self, user: str, room: RoomId, key: str) -> str:
        # With a secret: otherwise a member who guesses the key of another could publish under the
        # id made of it, and Ably would drop the other's message as a repeat.
        text = f"{user}\n{room}\n{key}".encode()
        return hmac.digest(self.id_key, text, hashlib.sha256).hex()[:32]

    def _sealed(self, room: RoomId, following: Mapping[str, str]) -> str:
        # Signed: a client could otherwise change Ably's parameters that are in it.
        return self.cursors.sign({"room": room, "next": dict(following)})

    def _opened(self, room: RoomId, cursor: str) -> dict[str, str]:
        try:
            claims = self.cursors.claims(cursor)
        except Unauthorized as error:
            raise InvalidCursor from error
        following = claims.get("next")
        if claims.get("room") != room or not isinstance(following, dict):
            raise InvalidCursor
        return {str(name): str(value) for name, value in following.items()}


def _data(data: Any) -> dict[str, Any]:
    """Return `data` in the fields of Ably's JSON: a text as it is, anything else as JSON text."""
    if data is None:
        return {}
    if isinstance(data, str):
        return {"data": data}
    return {"data": msgspec.json.encode(data).decode(), "encoding": "json"}


def _past(item: Mapping[str, Any]) -> PastMessage:
    data, encoding = decode(item.get("data"), item.get("encoding") or "")
    return PastMessage(
        id=str(item.get("id") or item.get("serial")),
        name=item.get("name"),
        data=data,
        encoding=encoding,
        client_id=item.get("clientId"),
        timestamp=int(item.get("timestamp") or 0),
        serial=item.get("serial"),
    )


def _present(item: Mapping[str, Any]) -> Present:
    data, _ = decode(item.get("data"), item.get("encoding") or "")
    return Present(item["clientId"], data, int(item.get("timestamp") or 0))
