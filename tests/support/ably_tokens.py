"""Token requests and JWTs, signed as an application's server would."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import time
from typing import Any

_SIGNED = ("keyName", "ttl", "capability", "clientId", "timestamp", "nonce")


def signed_request(key: str, **fields: Any) -> dict[str, Any]:
    """A TokenRequest. `fields` replace the usual ones, also `mac`, or are added."""
    name, _, secret = key.partition(":")
    request = {
        "keyName": name,
        "timestamp": int(time.time() * 1000),
        "nonce": secrets.token_hex(8),
        **fields,
    }
    text = "".join(f"{request.get(field, '')}\n" for field in _SIGNED)
    mac = base64.b64encode(hmac.digest(secret.encode(), text.encode(), "sha256")).decode()
    return {"mac": mac, **request}


def signed_jwt(key: str, **claims: Any) -> str:
    """An Ably JWT of ten minutes. `claims` replace the usual ones, or are added."""
    name, _, secret = key.partition(":")
    now = int(time.time())
    head = _part({"alg": "HS256", "typ": "JWT", "kid": name})
    text = f"{head}.{_part({'iat': now, 'exp': now + 600, **claims})}"
    return f"{text}.{_base64(hmac.digest(secret.encode(), text.encode(), 'sha256'))}"


def _part(value: dict[str, Any]) -> str:
    return _base64(json.dumps(value).encode())


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
