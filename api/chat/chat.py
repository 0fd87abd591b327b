"""What the handlers of chat use."""

from dataclasses import dataclass

from api.chat.ably.rest import AblyRest
from api.chat.messages.service import Messages
from api.chat.problems import ChatNotConfigured
from api.chat.rooms.service import ChatRooms
from api.chat.tokens.capability import Channels
from api.chat.tokens.service import TokenService
from api.chat.webhook.receiver import WebhookReceiver


@dataclass(frozen=True, slots=True)
class AblyParts:
    """What needs the API key of an Ably application."""

    ably: AblyRest
    tokens: TokenService
    messages: Messages
    webhook: WebhookReceiver


@dataclass(frozen=True, slots=True)
class Chat:
    """Rooms work without Ably; without a key `on_ably` is None."""

    channels: Channels
    rooms: ChatRooms
    on_ably: AblyParts | None

    @property
    def online(self) -> AblyParts:
        """What needs Ably. Raises `ChatNotConfigured`."""
        if self.on_ably is None:
            raise ChatNotConfigured
        return self.on_ably

    async def close(self) -> None:
        """Close the connections to Ably."""
        if self.on_ably is not None:
            await self.on_ably.ably.close()
