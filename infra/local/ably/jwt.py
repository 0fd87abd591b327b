"""Ably's JWTs: HS256 with an API key, the key's name as `kid`."""

from __future__ import annotations

import base64
import hmac
import json
import math
from typing import Any

from infra.local.ably.capability import Capability
from infra.local.ably.errors import AblyError
from infra.local.ably.grant import Grant, identity
from infra.local.ably.keys import Keyring


def grant_of_jwt(token: str, keys: Keyring) -> Grant:
    """What the claims say, if the signature is right.

    Raises AblyError 40144 otherwise, 40400 for a key that is not known, and 40012 or 40003 for a
    client or a capability that is none.
    """
    signed, _, signature = token.rpartition(".")
    head, _, body = signed.partition(".")
    header = _json(head)
    kid = header.get("kid")
    if not isinstance(kid, str) or header.get("alg") != "HS256":
        raise _invalid("it names no key, or another algorithm than HS256")
    key = keys.named(kid)
    if not hmac.compare_digest(key.sign(signed.encode()), _bytes(signature)):
        raise _invalid("the signature does not match")
    claims = _json(body)
    text = claims.get("x-ably-capability")
    return Grant(
        key=key,
        capability=(
            key.capability
            if text is None
            else key.capability.narrowed_to(Capability.parse(str(text)))
        ),
        client_id=identity(claims.get("x-ably-clientId")),
        issued_ms=_ms(claims.get("iat")),
        expires_ms=_ms(claims.get("exp")),
        revocation_key=claims.get("x-ably-revocation-key"),
        token=token,
    )


def _ms(given_s: object) -> int:
    # JSON as Python reads it may hold NaN and Infinity.
    if not isinstance(given_s, int | float) or not math.isfinite(given_s):
        raise _invalid("iat and exp are needed, in seconds")
    return int(given_s * 1000)


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
