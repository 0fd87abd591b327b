"""The API key of an Ably application, and what is signed with it."""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class AblyKey:
    """`appId.keyId:secret`. The name is public, the secret never leaves this process."""

    name: str
    secret: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a key as the console of Ably shows it; the settings have checked its form."""
        # At the first colon: the secret may hold colons too.
        name, _, secret = text.partition(":")
        return cls(name, secret)

    @property
    def basic(self) -> str:
        """The credentials of HTTP Basic."""
        return base64.b64encode(f"{self.name}:{self.secret}".encode()).decode()

    def sign(self, text: bytes) -> str:
        """The base64 HMAC-SHA256 that Ably expects, and itself sends."""
        digest = hmac.digest(self.secret.encode(), text, hashlib.sha256)
        return base64.b64encode(digest).decode()

    def __repr__(self) -> str:
        return f"AblyKey({self.name})"
