"""Verifies the requests of Ably's webhook, and stores each message once in our topics."""

import hmac
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, assert_never

from api.announcements import Announcements, MessagePosted, UserMentioned
from api.chat.ably.key import AblyKey
from api.chat.problems import WebhookUnverified
from api.chat.rooms.standing import RoomId
from api.chat.rooms.store import RoomStore
from api.chat.tokens.capability import Channels
from api.chat.webhook.inbound import ChatMessage, Inbound, PresenceChange, read_delivery
from api.chat.webhook.mentions import candidates
from api.chat.webhook.topics import drafts_of
from api.events import Draft, Publisher

OWNER: Final = "chat:webhook"  # of the marks by which a message is stored once
# Ably repeats a delivery for some minutes only. An older one is a replay by somebody who recorded
# it. The marks of younger ones still exist, so that a replay of them is recognised.
MAX_AGE_S: Final = 3600
MARK_TTL_S: Final = 2 * MAX_AGE_S + 60


@dataclass(frozen=True, slots=True)
class WebhookVerifier:
    """Tells whether a request comes from our Ably application.

    Ably signs a batch with `key`. A single delivery carries `secret` in a header instead; None
    means that no single deliveries are accepted.
    """

    key: AblyKey
    secret: str | None = None

    def verify(
        self, raw: bytes, *, signature: str | None, secret: str | None, key: str | None
    ) -> None:
        """Raise WebhookUnverified unless the signature or the secret is right.

        `raw` is the body of the request. The others are its headers, None if absent: the
        `signature` of the body, the `secret`, and in `key` the name of the key that signed.
        """
        if signature is not None and _equal(signature, self.key.sign(raw)):
            return
        if secret is not None and self.secret is not None and _equal(secret, self.secret):
            return
        if signature is not None and key not in (None, self.key.name):
            raise WebhookUnverified("The rule signs with another key than that of ABLY_API_KEY.")
        raise WebhookUnverified


@dataclass(frozen=True, slots=True)
class Received:
    """How many items of a delivery were stored, were stored before, and were ignored."""

    stored: int
    repeated: int
    ignored: int


@dataclass(frozen=True, slots=True)
class WebhookReceiver:
    """Stores what Ably's webhook delivers. `clock` gives epoch seconds.

    New messages and mentions are announced to other features. The events that these make of it are
    stored together with the message, or none of them.
    """

    verifier: WebhookVerifier
    channels: Channels
    rooms: RoomStore
    publisher: Publisher
    announcements: Announcements
    clock: Callable[[], float]

    async def receive(self, body: Any) -> Received:
        """Store the items of a delivery that was verified; return how many were stored.

        `body` is the parsed JSON of the request. Items whose time is more than an hour from now are
        ignored. Costs one round trip, and two when somebody is mentioned. Raises ValidationFailed,
        PayloadTooLarge, and StoreUnavailable, after which Ably delivers it again.
        """
        given, ignored = read_delivery(body, self.channels)
        fresh = {one.key: one for one in given if self._is_fresh(one)}
        mentions = await self._mentions([m for m in fresh.values() if isinstance(m, ChatMessage)])
        groups = {key: self._drafts(one, mentions) for key, one in fresh.items()}
        stored = await self.publisher.publish_groups(groups, owner=OWNER, mark_ttl_s=MARK_TTL_S)
        stale = sum(not self._is_fresh(one) for one in given)
        repeated = len(given) - stale - sum(stored)
        return Received(stored=sum(stored), repeated=repeated, ignored=ignored + stale)

    def _is_fresh(self, one: Inbound) -> bool:
        return abs(self.clock() - one.timestamp / 1000) <= MAX_AGE_S

    def _drafts(self, one: Inbound, mentions: Mapping[str, Sequence[str]]) -> list[Draft]:
        drafts = drafts_of(one, max_bytes=self.publisher.max_event_bytes)
        match one:
            case PresenceChange():
                return drafts
            case ChatMessage(action="created"):
                for announced in _announced(one, mentions.get(one.key, ())):
                    drafts += self.announcements.drafts(announced)
                return drafts
            case ChatMessage():
                return drafts
            case _:
                assert_never(one)

    async def _mentions(self, messages: Sequence[ChatMessage]) -> dict[str, list[str]]:
        """Return the members that each message mentions, by the key of the message."""
        named = {message.key: candidates(message) for message in messages}
        wanted: dict[RoomId, list[str]] = {}
        for message in messages:
            known = wanted.setdefault(message.room, [])
            known += [user for user in named[message.key] if user not in known]
        members = await self.rooms.among_members(wanted)
        return {
            message.key: [user for user in named[message.key] if (message.room, user) in members]
            for message in messages
        }


def _announced(
    message: ChatMessage, mentioned: Sequence[str]
) -> Iterator[MessagePosted | UserMentioned]:
    if message.client_id is not None:
        yield MessagePosted(message.room, message.client_id, message.id)
    for user in mentioned:
        yield UserMentioned(user, message.client_id, message.room, message.id, message.text)


def _equal(given: str, right: str) -> bool:
    return hmac.compare_digest(given.encode(), right.encode())
