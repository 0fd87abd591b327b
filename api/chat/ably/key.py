"""The API key of an Ably application, and the signatures that are made with it."""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class AblyKey:
    """An Ably API key, `appId.keyId:secret`, in its two parts.

    `name` is the public part before the colon. `secret` never leaves this process.
    """

    name: str
    secret: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a key as Ably's console shows it. Its form was checked with the settings."""
        # At the first colon: the secret may hold colons too.
        name, _, secret = text.partition(":")
        return cls(name, secret)

    @property
    def basic(self) -> str:
        """The key as credentials for HTTP Basic authentication: `name:secret` in base64."""
        return base64.b64encode(f"{self.name}:{self.secret}".encode()).decode()

    def sign(self, text: bytes) -> str:
        """Return the base64 HMAC-SHA256 of `text`, keyed with the secret.

        Ably expects it in token requests, and sends it itself with the webhook's batches.
        """
        digest = hmac.digest(self.secret.encode(), text, hashlib.sha256)
        return base64.b64encode(digest).decode()

    def __repr__(self) -> str:
        return f"AblyKey({self.name})"
