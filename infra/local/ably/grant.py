"""What a client was let in with, and what that permits."""

from __future__ import annotations

from dataclasses import dataclass

from infra.local.ably.capability import Capability
from infra.local.ably.errors import AblyError, not_permitted
from infra.local.ably.keys import Key

ANY_CLIENT = "*"


@dataclass(frozen=True, slots=True)
class Grant:
    """A key or a token, and what it opens.

    `client_id` is None for anonymous tokens and `*` for any identity; `expires_ms` is None for a
    key, which does not expire.
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
        """Raises AblyError 40160 when the capability does not cover it."""
        if not self.capability.allows(operation, channel):
            raise not_permitted(operation, channel)

    def as_client(self, claimed: str | None) -> str | None:
        """The identity to stamp on what is published. Raises AblyError 40012."""
        if claimed is None:
            return None if self.client_id == ANY_CLIENT else self.client_id
        if claimed in {"", ANY_CLIENT} or self.client_id not in {ANY_CLIENT, claimed}:
            raise AblyError(40012, 400, "the clientId is not the credential's")
        return claimed


def identity(given: object) -> str | None:
    """The clientId that a token is asked for; None when it is absent or empty.

    Raises AblyError 40012 for what is not a text.
    """
    if given is None or given == "":
        return None
    if not isinstance(given, str):
        raise AblyError(40012, 400, "a clientId is a text")
    return given
