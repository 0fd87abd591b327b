"""Signs token requests and JWTs for Ably, without Ably's SDK, which is slow to load."""

import hashlib
import hmac
from collections.abc import Callable
from typing import Final

import msgspec

from api.chat.ably.key import AblyKey
from api.security.signing import base64url

JWT_MEDIA_TYPE: Final = "application/jwt"


class TokenRequest(msgspec.Struct, frozen=True, rename="camel"):
    """A signed request that Ably exchanges for a token; `ttl` and `timestamp` are in milliseconds.

    It has exactly the fields that Ably's SDKs take: the Python SDK refuses any other field.
    """

    key_name: str
    ttl: int
    capability: str
    client_id: str
    timestamp: int
    nonce: str
    mac: str


class TokenIssuer:
    """Signs token requests and JWTs with one key.

    `clock` gives epoch seconds. `new_nonce` gives a new random text of at least 16 characters.
    """

    def __init__(
        self, key: AblyKey, *, clock: Callable[[], float], new_nonce: Callable[[], str]
    ) -> None:
        self._key = key
        self._clock = clock
        self._new_nonce = new_nonce
        self._header = base64url(
            msgspec.json.encode({"typ": "JWT", "alg": "HS256", "kid": key.name})
        )

    def issue(self, *, client_id: str, capability: str, ttl_ms: int) -> TokenRequest:
        """Sign a token request, which a client exchanges at Ably once, within two minutes.

        `client_id` is the user that the token is for. `capability` is the JSON text of
        `Policy.capability`. `ttl_ms` is how long the token lasts, in milliseconds.
        """
        timestamp, nonce = int(self._clock() * 1000), self._new_nonce()
        fields = (self._key.name, ttl_ms, capability, client_id, timestamp, nonce)
        mac = self._key.sign("".join(f"{one}\n" for one in fields).encode())
        return TokenRequest(self._key.name, ttl_ms, capability, client_id, timestamp, nonce, mac)

    def issue_jwt(self, *, client_id: str, capability: str, ttl_ms: int) -> str:
        """Sign a JWT that Ably accepts as a token without an exchange.

        Its holder can read its content. It takes the same as `issue` and lasts for `ttl_ms` in
        whole seconds, one at least.
        """
        now = int(self._clock())
        claims = {
            "iat": now,
            "exp": now + max(1, ttl_ms // 1000),
            "x-ably-capability": capability,
            "x-ably-clientId": client_id,
        }
        body = f"{self._header}.{base64url(msgspec.json.encode(claims))}"
        digest = hmac.digest(self._key.secret.encode(), body.encode(), hashlib.sha256)
        return f"{body}.{base64url(digest)}"
