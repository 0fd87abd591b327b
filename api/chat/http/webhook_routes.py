"""The route `/api/chat/webhook`, to which a rule of the Ably application posts."""

from typing import Any

from litestar import Controller, Request, post

from api.chat.chat import Chat
from api.chat.http.models import ReceivedView
from api.chat.http.parameters import Signature, SignatureKey, WebhookSecret
from api.chat.problems import WebhookUnverified
from api.payloads.responses import JSON
from api.problems import (
    BadRequest,
    PayloadTooLarge,
    StoreUnavailable,
    UnsupportedMediaType,
    ValidationFailed,
)

RECEIVING = {
    "problems": (
        *(BadRequest, PayloadTooLarge, StoreUnavailable, UnsupportedMediaType, ValidationFailed),
        WebhookUnverified,
    )
}


class WebhookController(Controller):
    """`/api/chat/webhook`: receives what happens in rooms. Only Ably calls it."""

    path = "/api/chat/webhook"
    tags = ("chat",)
    chat: Chat

    @post(name="receive_webhook", status_code=200, opt=RECEIVING)
    async def receive(
        self,
        *,
        request: Request[Any, Any, Any],
        signature: Signature = None,
        key: SignatureKey = None,
        secret: WebhookSecret = None,
    ) -> ReceivedView:
        """Store what Ably's webhook delivers in our topics; each message is stored once."""
        if request.content_type[0] != JSON:
            raise UnsupportedMediaType("Set the rule's encoding to JSON.")
        if self.chat.on_ably is None:
            raise WebhookUnverified  # without a key no delivery can be genuine
        receiver = self.chat.on_ably.webhook
        raw = await request.body()
        # Before the body is parsed: strangers must not be able to make us work.
        receiver.verifier.verify(raw, signature=signature, secret=secret, key=key)
        received = await receiver.receive(await request.json())
        return ReceivedView(
            stored=received.stored, repeated=received.repeated, ignored=received.ignored
        )
