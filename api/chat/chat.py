"""The services of chat as one object, which the HTTP handlers of chat use."""

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
    """The services that exist only when the API key of an Ably application is set."""

    ably: AblyRest
    tokens: TokenService
    messages: Messages
    webhook: WebhookReceiver


@dataclass(frozen=True, slots=True)
class Chat:
    """The services of chat. Rooms work without Ably; `on_ably` is None when no API key is set."""

    channels: Channels
    rooms: ChatRooms
    on_ably: AblyParts | None

    @property
    def online(self) -> AblyParts:
        """The services that need Ably. Raises `ChatNotConfigured` when no API key is set."""
        if self.on_ably is None:
            raise ChatNotConfigured
        return self.on_ably

    async def close(self) -> None:
        """Close the connections to Ably, if Ably is used. Called when the process ends."""
        if self.on_ably is not None:
            await self.on_ably.ably.close()
