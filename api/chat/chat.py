"""The package as one object, built from the settings."""

from dataclasses import dataclass
from secrets import token_hex

from api.chat.ably_rest import AblyRest
from api.chat.capability import Channels, Policy
from api.chat.messages import Messages
from api.chat.moderation import Moderator
from api.chat.problems import ChatNotConfigured
from api.chat.rooms import RoomStore
from api.chat.service import ChatRooms
from api.chat.standing import RoomId
from api.chat.token_desk import TokenDesk
from api.chat.tokens import AblyKey, TokenIssuer
from api.chat.topics import PATTERN, RoomReaders, declare_events
from api.chat.webhook import Announce, Notify, WebhookDesk, WebhookVerifier, nothing
from api.events import Catalogue, Publisher, TopicName
from api.security.grants import Access
from api.security.keys import KeyPurpose, derive_key
from api.security.rates import RateLimiter
from api.security.signing import Signer
from api.settings import Settings
from api.system import System
from api.upstash import UpstashClient


@dataclass(frozen=True, slots=True)
class OnAbly:
    """What needs a key of an Ably application."""

    ably: AblyRest
    tokens: TokenDesk
    messages: Messages
    webhook: WebhookDesk


@dataclass(frozen=True, slots=True)
class Chat:
    """What the handlers use. Rooms work without Ably; the rest raises ChatNotConfigured."""

    channels: Channels
    rooms: ChatRooms
    on_ably: OnAbly | None

    @property
    def online(self) -> OnAbly:
        if self.on_ably is None:
            raise ChatNotConfigured
        return self.on_ably

    async def close(self) -> None:
        if self.on_ably is not None:
            await self.on_ably.ably.close()


@dataclass(frozen=True, slots=True)
class Parts:
    """What the package stands on."""

    redis: UpstashClient
    publisher: Publisher
    catalogue: Catalogue
    access: Access
    rate: RateLimiter
    system: System


@dataclass(frozen=True, slots=True)
class Feeds:
    """What chat brings into feeds, and the feeds that a room's members therefore read.

    `pattern` has one `*`, which stands for the room.
    """

    announce: Announce
    pattern: str

    def of(self, room: RoomId) -> TopicName:
        return TopicName(self.pattern.replace("*", room))


def build_chat(
    settings: Settings, parts: Parts, *, feeds: Feeds | None = None, notify: Notify = nothing
) -> Chat:
    """Also declares the events of rooms, and lets their members read them."""
    store = RoomStore(parts.redis, max_rooms=settings.chat_max_rooms)
    declare_events(parts.catalogue)
    for pattern in [PATTERN, feeds.pattern] if feeds else [PATTERN]:
        parts.access.add_rule(pattern, RoomReaders(store))
    policy = Policy(Channels(settings.chat_namespace), may_publish=settings.chat_direct_publish)
    if settings.ably_api_key is None:
        return Chat(policy.channels, _rooms(parts, store, feeds, None), None)
    key = AblyKey.parse(settings.ably_api_key.get_secret_value())
    ably = AblyRest(key, settings.ably_url)
    on_ably = OnAbly(
        ably=ably,
        tokens=_tokens(settings, parts, key, store, policy),
        messages=_messages(settings, parts, ably, store, policy.channels),
        webhook=WebhookDesk(
            verifier=WebhookVerifier(key, _secret(settings)),
            channels=policy.channels,
            rooms=store,
            publisher=parts.publisher,
            clock=parts.system.clock,
            announce=feeds.announce if feeds else nothing,
            notify=notify,
        ),
    )
    return Chat(policy.channels, _rooms(parts, store, feeds, ably), on_ably)


def _rooms(parts: Parts, store: RoomStore, feeds: Feeds | None, ably: AblyRest | None) -> ChatRooms:
    return ChatRooms(
        rooms=store,
        ably=ably,
        access=parts.access,
        rate=parts.rate,
        clock=parts.system.clock,
        feed_of=feeds.of if feeds else None,
    )


def _tokens(
    settings: Settings, parts: Parts, key: AblyKey, store: RoomStore, policy: Policy
) -> TokenDesk:
    return TokenDesk(
        issuer=TokenIssuer(key, clock=parts.system.clock, new_nonce=lambda: token_hex(16)),
        rooms=store,
        policy=policy,
        rate=RateLimiter(
            per_s=settings.chat_tokens_per_s,
            burst=settings.chat_tokens_burst,
            monotonic=parts.system.monotonic,
        ),
        clock=parts.system.clock,
    )


def _messages(
    settings: Settings, parts: Parts, ably: AblyRest, store: RoomStore, channels: Channels
) -> Messages:
    secret = settings.secret.get_secret_value()
    return Messages(
        ably=ably,
        rooms=store,
        channels=channels,
        moderator=Moderator(
            max_bytes=settings.chat_message_bytes, blocked_words=settings.chat_blocked_words
        ),
        rate=RateLimiter(
            per_s=settings.chat_messages_per_s,
            burst=settings.chat_messages_burst,
            monotonic=parts.system.monotonic,
        ),
        cursors=Signer(derive_key(secret, KeyPurpose.CHAT_CURSOR), kind="cursor+jwt"),
        id_key=derive_key(secret, KeyPurpose.CHAT_MESSAGE),
        new_id=parts.system.new_id,
    )


def _secret(settings: Settings) -> str | None:
    secret = settings.chat_webhook_secret
    return secret.get_secret_value() if secret else None
