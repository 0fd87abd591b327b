"""API keys: they name an app, sign token requests, and bound what tokens may do."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from infra.local.ably.capability import Capability
from infra.local.ably.errors import AblyError

EVERYTHING = Capability.parse('{"[*]*":["*"]}')
DEFAULT = Capability.parse('{"*":["*"]}')


@dataclass(frozen=True, slots=True)
class Key:
    """One key; `name` is appId.keyId."""

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
    """All keys that this server knows."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self._keys = {key.name: key for key in keys}

    def add(self, key: Key) -> None:
        self._keys[key.name] = key

    def find(self, name: str) -> Key | None:
        return self._keys.get(name)

    def named(self, name: str) -> Key:
        """The key that credentials name.

        Raises AblyError 40400, with the status 401 when the app is known and 404 when it is not.
        Both are final for SDKs: a code of 4014x would make ably-js ask for tokens without end.
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
    """A key at random for an app."""
    name = f"{app_id}.{secrets.token_hex(3)}"
    return Key(name, secrets.token_urlsafe(24), capability, is_revocable)
