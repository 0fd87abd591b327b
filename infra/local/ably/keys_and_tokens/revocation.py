"""Revocation of tokens by client, by revocation key, or by channel.

Source: https://ably.com/docs/auth/revocation
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.local.ably.keys_and_tokens.keys import Grant
from infra.local.ably.protocol import AblyError, bad_request

MARGIN_MS = 30_000
_MAX_TARGETS = 100
_KINDS = frozenset({"clientId", "revocationKey", "channel"})


@dataclass(frozen=True, slots=True)
class Revocation:
    """From `applies_ms` on, tokens of a key that `target` names are void.

    It does not touch those that were issued at `before_ms` or later.
    """

    key_name: str
    target: str
    before_ms: int
    applies_ms: int

    def names(self, grant: Grant) -> bool:
        if grant.key.name != self.key_name or grant.issued_ms >= self.before_ms:
            return False
        kind, _, value = self.target.partition(":")
        if kind == "channel":
            return value in grant.capability.operations
        return value == (grant.client_id if kind == "clientId" else grant.revocation_key)


class Revocations:
    """All revocations that were made."""

    def __init__(self) -> None:
        self._made: list[Revocation] = []

    def revoke(self, grant: Grant, body: Mapping[str, Any], now_ms: int) -> list[dict[str, Any]]:
        """Revoke by the request `body`. Returns one result for each target.

        Raises AblyError when the grant may not revoke, or when the body is not valid.
        """
        if grant.is_token:
            raise AblyError(40162, 401, "tokens are revoked with the key, not with a token")
        if not grant.key.is_revocable:
            raise AblyError(40163, 401, "token revocation is not enabled for this key")
        targets = body.get("targets")
        if not isinstance(targets, list) or not 0 < len(targets) <= _MAX_TARGETS:
            raise bad_request(f"targets: 1 to {_MAX_TARGETS} are needed")
        before_ms = body.get("issuedBefore") or now_ms
        if not isinstance(before_ms, int):
            raise bad_request("issuedBefore is in milliseconds")
        applies_ms = now_ms + (MARGIN_MS if body.get("allowReauthMargin") else 0)
        return [self._one(grant, target, before_ms, applies_ms) for target in targets]

    def is_revoked(self, grant: Grant, now_ms: int) -> bool:
        return any(one.applies_ms <= now_ms and one.names(grant) for one in self._made)

    def is_announced(self, grant: Grant) -> bool:
        """Whether it is revoked, or will be after the margin."""
        return any(one.names(grant) for one in self._made)

    def clear(self) -> None:
        self._made.clear()

    def _one(self, grant: Grant, target: object, before_ms: int, applies_ms: int) -> dict[str, Any]:
        kind, _, value = str(target).partition(":")
        if kind not in _KINDS or not value:
            error = bad_request("a target is clientId:…, revocationKey:… or channel:…")
            return {"target": target, "error": error.info()}
        self._made.append(Revocation(grant.key.name, str(target), before_ms, applies_ms))
        return {"target": target, "issuedBefore": before_ms, "appliesAt": applies_ms}
