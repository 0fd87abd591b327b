"""Builds the feature chat from the settings."""

from collections.abc import Sequence
from secrets import token_hex
from typing import TYPE_CHECKING

from api.announcements import WORKSPACE_FEEDS
from api.chat.ably.key import AblyKey
from api.chat.ably.rest import AblyRest
from api.chat.chat import AblyParts, Chat
from api.chat.messages.moderation import Moderator
from api.chat.messages.service import Messages
from api.chat.rooms.service import ChatRooms
from api.chat.rooms.standing import RoomId
from api.chat.rooms.store import RoomStore
from api.chat.tokens.capability import Channels, Policy
from api.chat.tokens.issuer import TokenIssuer
from api.chat.tokens.service import TokenService
from api.chat.webhook.receiver import WebhookReceiver, WebhookVerifier
from api.chat.webhook.topics import EVENTS, PATTERN, RoomReaders
from api.events import TopicName
from api.feature import Base, Feature
from api.security.keys import KeyPurpose, derive_key
from api.security.rates import RateLimiter
from api.security.signing import Signer
from api.settings import Settings

if TYPE_CHECKING:
    from api.events import Events


def build(settings: Settings, base: Base) -> Feature:
    """Build the feature: its services, routes, event types and read rules. No network is touched.

    Without the API key of an Ably application rooms work, but tokens and messages do not.
    """
    store = RoomStore(base.redis, max_rooms=settings.chat_max_rooms)
    policy = Policy(Channels(settings.chat_namespace), may_publish=settings.chat_direct_publish)
    on_ably = _on_ably(settings, base, store, policy)
    rooms = ChatRooms(
        rooms=store,
        ably=on_ably.ably if on_ably else None,
        access=base.security.access,
        rate=base.security.publish_rate,
        clock=base.system.clock,
        feed_of=_feed_of if settings.chat_activity else None,
    )
    chat = Chat(policy.channels, rooms, on_ably)

    def routes(_: "Events") -> Sequence[type]:
        from api.chat.http.routes import chat_routes  # noqa: PLC0415  # workers need no Litestar

        return chat_routes(chat)

    read_by_members = [PATTERN, WORKSPACE_FEEDS] if settings.chat_activity else [PATTERN]
    return Feature(
        routes=routes,
        events=EVENTS,
        rules=[(pattern, RoomReaders(store)) for pattern in read_by_members],
        close=chat.close,
    )


def _feed_of(room: RoomId) -> TopicName:
    """Return the feed of the workspace with the same id, which the members of `room` may read."""
    return TopicName(WORKSPACE_FEEDS.replace("*", room))


def _on_ably(settings: Settings, base: Base, store: RoomStore, policy: Policy) -> AblyParts | None:
    if settings.ably_api_key is None:
        return None
    key = AblyKey.parse(settings.ably_api_key.get_secret_value())
    ably = AblyRest(key, settings.ably_url)
    secret = settings.chat_webhook_secret
    return AblyParts(
        ably=ably,
        tokens=_tokens(settings, base, key, store, policy),
        messages=_messages(settings, base, ably, store, policy.channels),
        webhook=WebhookReceiver(
            verifier=WebhookVerifier(key, secret.get_secret_value() if secret else None),
            channels=policy.channels,
            rooms=store,
            publisher=base.publisher,
            announcements=base.announcements,
            clock=base.system.clock,
        ),
    )


def _tokens(
    settings: Settings, base: Base, key: AblyKey, store: RoomStore, policy: Policy
) -> TokenService:
    return TokenService(
        issuer=TokenIssuer(key, clock=base.system.clock, new_nonce=lambda: token_hex(16)),
        rooms=store,
        policy=policy,
        rate=RateLimiter(
            per_s=settings.chat_tokens_per_s,
            burst=settings.chat_tokens_burst,
            monotonic=base.system.monotonic,
        ),
        clock=base.system.clock,
    )


def _messages(
    settings: Settings, base: Base, ably: AblyRest, store: RoomStore, channels: Channels
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
            monotonic=base.system.monotonic,
        ),
        cursors=Signer(derive_key(secret, KeyPurpose.CHAT_CURSOR), kind="cursor+jwt"),
        id_key=derive_key(secret, KeyPurpose.CHAT_MESSAGE),
        new_id=base.system.new_id,
    )
