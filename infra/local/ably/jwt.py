"""Ably's JWTs: HS256 with an API key, the key's name as `kid`."""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any

from infra.local.ably.capability import Capability
from infra.local.ably.errors import AblyError
from infra.local.ably.grant import Grant
from infra.local.ably.keys import Keyring


def grant_of_jwt(token: str, keys: Keyring) -> Grant:
    """What the claims say, if the signature is right. Raises AblyError 40144 otherwise."""
    signed, _, signature = token.rpartition(".")
    head, _, body = signed.partition(".")
    header = _json(head)
    key = keys.find(str(header.get("kid")))
    if key is None or header.get("alg") != "HS256":
        raise _invalid("it names no key of ours, or another algorithm than HS256")
    if not hmac.compare_digest(key.sign(signed.encode()), _bytes(signature)):
        raise _invalid("the signature does not match")
    claims = _json(body)
    issued_s, expires_s = claims.get("iat"), claims.get("exp")
    if not isinstance(issued_s, int | float) or not isinstance(expires_s, int | float):
        raise _invalid("iat and exp are needed, in seconds")
    text = claims.get("x-ably-capability")
    return Grant(
        key=key,
        capability=(
            key.capability
            if text is None
            else key.capability.narrowed_to(Capability.parse(str(text)))
        ),
        client_id=claims.get("x-ably-clientId") or None,
        issued_ms=int(issued_s * 1000),
        expires_ms=int(expires_s * 1000),
        revocation_key=claims.get("x-ably-revocation-key"),
        token=token,
    )


def _invalid(why: str) -> AblyError:
    return AblyError(40144, 401, f"not a valid JWT: {why}")


def _bytes(part: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        raise _invalid("not base64") from None


def _json(part: str) -> dict[str, Any]:
    try:
        value = json.loads(_bytes(part))
    except ValueError:
        raise _invalid("not JSON") from None
    if not isinstance(value, dict):
        raise _invalid("not an object")
    return value
