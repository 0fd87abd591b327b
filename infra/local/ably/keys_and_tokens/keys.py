"""API keys, and what a key or a token allows its holder to do."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from infra.local.ably.keys_and_tokens.capability import Capability
from infra.local.ably.protocol import AblyError, not_permitted

EVERYTHING = Capability.parse('{"[*]*":["*"]}')
DEFAULT = Capability.parse('{"*":["*"]}')


@dataclass(frozen=True, slots=True)
class Key:
    """One key. Its `name` is `appId.keyId`."""

    name: str
    secret: str
    capability: Capability = DEFAULT
    is_revocable: bool = True

    @classmethod
    def parse(cls, text: str) -> Key:
        """Read appId.keyId:secret; the secret may hold colons. Raises ValueError."""
        name, _, secret = text.partition(":")
        app_id, _, key_id = name.partition(".")
        if not (app_id and key_id and secret):
            raise ValueError("an Ably API key looks like appId.keyId:secret")
        return cls(name, secret, EVERYTHING)

    @property
    def app_id(self) -> str:
        return self.name.partition(".")[0]

    @property
    def text(self) -> str:
        return f"{self.name}:{self.secret}"

    def sign(self, text: bytes) -> bytes:
        return hmac.digest(self.secret.encode(), text, "sha256")


class Keyring:
    """All keys that this server knows, of all its apps."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self._keys = {key.name: key for key in keys}

    def add(self, key: Key) -> None:
        self._keys[key.name] = key

    def find(self, name: str) -> Key | None:
        return self._keys.get(name)

    def named(self, name: str) -> Key:
        """The key of this name.

        Raises AblyError 40400: with the status 401 when the app is known, with 404 when it is not.
        Both are final for SDKs; a code of 4014x would make ably-js ask for tokens without end.
        """
        if (key := self.find(name)) is not None:
            return key
        if self.knows_app(name.partition(".")[0]):
            raise AblyError(40400, 401, "the app has no such key")
        raise AblyError(40400, 404, "no such app")

    def knows_app(self, app_id: str) -> bool:
        return any(key.app_id == app_id for key in self._keys.values())

    def remove_app(self, app_id: str) -> None:
        self._keys = {name: key for name, key in self._keys.items() if key.app_id != app_id}


def made_key(app_id: str, capability: Capability, *, is_revocable: bool) -> Key:
    """A new key with a random name and secret."""
    name = f"{app_id}.{secrets.token_hex(3)}"
    return Key(name, secrets.token_urlsafe(24), capability, is_revocable)


ANY_CLIENT = "*"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a client may do by the key or the token that it showed.

    `client_id` is None for an anonymous token, and `*` where the client may take any identity.
    `expires_ms` is None for a key, which does not expire.
    """

    key: Key
    capability: Capability
    client_id: str | None
    issued_ms: int
    expires_ms: int | None = None
    revocation_key: str | None = None
    token: str = ""

    @classmethod
    def of_key(cls, key: Key) -> Grant:
        return cls(key, key.capability, ANY_CLIENT, issued_ms=0)

    @property
    def is_token(self) -> bool:
        return self.expires_ms is not None

    def require(self, operation: str, channel: str) -> None:
        """Raise AblyError 40160 unless the capability allows the operation on the channel."""
        if not self.capability.allows(operation, channel):
            raise not_permitted(operation, channel)

    def as_client(self, claimed: str | None) -> str | None:
        """The clientId of what is published: the claimed one, else the grant's; None if neither.

        Raises AblyError 40012 for a claim that the grant does not allow.
        """
        if claimed is None:
            return None if self.client_id == ANY_CLIENT else self.client_id
        if claimed in {"", ANY_CLIENT} or self.client_id not in {ANY_CLIENT, claimed}:
            raise AblyError(40012, 400, "the clientId is not the credential's")
        return claimed

    def stamped(self, message: dict[str, Any]) -> dict[str, Any]:
        """The message with the clientId of its publisher. Raises AblyError 40012."""
        client_id = self.as_client(message.get("clientId"))
        return message if client_id is None else message | {"clientId": client_id}


def identity(given: object) -> str | None:
    """The clientId that a token is to have; None when it is absent or empty.

    Raises AblyError 40012 when it is not a string.
    """
    if given is None or given == "":
        return None
    if not isinstance(given, str):
        raise AblyError(40012, 400, "a clientId is a text")
    return given
