"""Signs what Ably takes for a token. Ably's SDK, which is slow to load, is not needed for it."""

import base64
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

import msgspec

JWT_MEDIA_TYPE: Final = "application/jwt"


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


class TokenRequest(msgspec.Struct, frozen=True, rename="camel"):
    """The fields that Ably's SDKs take, and no other: the Python SDK refuses one more."""

    key_name: str
    ttl: int
    capability: str
    client_id: str
    timestamp: int
    nonce: str
    mac: str


class TokenIssuer:
    """Signs for one key. `clock` gives epoch seconds, `new_nonce` 16 random characters or more."""

    def __init__(
        self, key: AblyKey, *, clock: Callable[[], float], new_nonce: Callable[[], str]
    ) -> None:
        self._key = key
        self._clock = clock
        self._new_nonce = new_nonce
        self._header = _base64url(
            msgspec.json.encode({"typ": "JWT", "alg": "HS256", "kid": key.name})
        )

    def issue(self, *, client_id: str, capability: str, ttl_ms: int) -> TokenRequest:
        """A request that a client exchanges for a token at Ably, once, within two minutes."""
        timestamp, nonce = int(self._clock() * 1000), self._new_nonce()
        fields = (self._key.name, ttl_ms, capability, client_id, timestamp, nonce)
        mac = self._key.sign("".join(f"{one}\n" for one in fields).encode())
        return TokenRequest(self._key.name, ttl_ms, capability, client_id, timestamp, nonce, mac)

    def issue_jwt(self, *, client_id: str, capability: str, ttl_ms: int) -> str:
        """A token that needs no exchange; its holder can read what it contains."""
        now = int(self._clock())
        claims = {
            "iat": now,
            "exp": now + max(1, ttl_ms // 1000),
            "x-ably-capability": capability,
            "x-ably-clientId": client_id,
        }
        body = f"{self._header}.{_base64url(msgspec.json.encode(claims))}"
        digest = hmac.digest(self._key.secret.encode(), body.encode(), hashlib.sha256)
        return f"{body}.{_base64url(digest)}"


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
