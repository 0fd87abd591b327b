"""Tokens: issued for signed requests, and checked at each use. No I/O."""

from __future__ import annotations

import base64
import hmac
import math
import secrets
import warnings
from collections.abc import Mapping
from typing import Any

import jwt

from infra.local.ably.clock import Clock
from infra.local.ably.keys_and_tokens.capability import Capability
from infra.local.ably.keys_and_tokens.keys import Grant, Key, Keyring, identity
from infra.local.ably.keys_and_tokens.revocation import Revocations
from infra.local.ably.protocol import AblyError, bad_request

_WINDOW_MS = 120_000
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
_MIN_NONCE = 16
_SIGNED = ("keyName", "ttl", "capability", "clientId", "timestamp", "nonce")
_ALGORITHM = "HS256"
# Times are checked at each use, by a clock that tests can shift; Ably knows no other claim.
_SIGNATURES = jwt.PyJWT(
    {
        "verify_exp": False,
        "verify_nbf": False,
        "verify_iat": False,
        "verify_aud": False,
        "verify_sub": False,
        "verify_jti": False,
    }
)


class Tokens:
    """All tokens of this server. JWTs count among them once they were shown."""

    def __init__(self, keys: Keyring, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        self._issued: dict[str, Grant] = {}
        self._nonces: dict[tuple[str, str], int] = {}
        self._seen: set[str] = set()
        self._void: set[str] = set()
        self.revocations = Revocations()

    def issue(
        self, key_name: str, request: Mapping[str, Any], basic: Grant | None
    ) -> dict[str, Any]:
        """The TokenDetails for a TokenRequest that is signed, or sent with Basic auth of its key.

        Raises AblyError when it is neither, or asks for more than the key has.
        Source: https://ably.com/docs/api/token-request-spec
        """
        key = self._keys.find(key_name)
        if key is None:
            raise AblyError(40400, 404, f"no key {key_name}")
        is_own = basic is not None and basic.key == key and "mac" not in request
        now_ms = self._clock.now_ms()
        if not is_own:
            self._check_signature(key, request, now_ms)
        token = f"{key.app_id}.{secrets.token_urlsafe(24)}"
        grant = Grant(
            key=key,
            capability=_capability(key, request.get("capability")),
            client_id=identity(request.get("clientId")),
            issued_ms=now_ms,
            expires_ms=now_ms + _ttl_ms(key, request.get("ttl")),
            token=token,
        )
        self._seen.add(token)
        self._issued[token] = grant
        return _details(grant)

    def grant_of(self, token: str) -> Grant:
        """Who holds it. Raises AblyError 4010x or 4014x, or what `grant_of_jwt` raises."""
        if token.count(".") == 2:  # noqa: PLR2004 - header, claims, signature
            grant = grant_of_jwt(token, self._keys)
            self._seen.add(token)
        elif not self._keys.knows_app(token.partition(".")[0]):
            raise AblyError(40101, 401, "the token is not valid")
        elif (found := self._issued.get(token)) is None:
            # It is of an earlier run, most likely. This code makes the client renew it.
            raise AblyError(40143, 401, "the token is not known here")
        else:
            grant = found
        self.check(grant)
        return grant

    def check(self, grant: Grant) -> None:
        """Raise AblyError when the token has expired (40142) or was revoked (40141)."""
        if grant.expires_ms is None:
            return
        now_ms = self._clock.now_ms()
        if grant.expires_ms <= now_ms or grant.token in self._void:
            raise AblyError(40142, 401, "the token has expired")
        if self.revocations.is_revoked(grant, now_ms):
            raise AblyError(40141, 401, "the token was revoked")

    def expire_all(self) -> None:
        """Let all tokens that were seen so far expire, but not those that come later."""
        self._void |= self._seen

    def forget(self) -> None:
        """Forget everything that was issued, seen or revoked."""
        self._issued.clear()
        self._nonces.clear()
        self._seen.clear()
        self._void.clear()
        self.revocations.clear()

    def _check_signature(self, key: Key, request: Mapping[str, Any], now_ms: int) -> None:
        given = str(request.get("mac") or "")
        # The fields as they came: the client has signed its own spelling of the capability.
        text = "".join(f"{_plain(request.get(name))}\n" for name in _SIGNED)
        mac = base64.b64encode(key.sign(text.encode())).decode()
        if request.get("keyName") != key.name or not hmac.compare_digest(
            mac.encode(), given.encode()
        ):
            raise AblyError(40101, 401, "the mac does not match the request")
        self._check_fresh(request, now_ms)

    def _check_fresh(self, request: Mapping[str, Any], now_ms: int) -> None:
        nonce, timestamp = str(request.get("nonce") or ""), _plain(request.get("timestamp"))
        if not timestamp.isdecimal() or abs(int(timestamp) - now_ms) > _WINDOW_MS:
            raise AblyError(40104, 401, "the timestamp is not current")
        if len(nonce) < _MIN_NONCE:
            raise AblyError(40105, 401, f"a nonce has at least {_MIN_NONCE} characters")
        oldest_ms = now_ms - 2 * _WINDOW_MS
        self._nonces = {one: at for one, at in self._nonces.items() if at > oldest_ms}
        if (nonce, timestamp) in self._nonces:
            raise AblyError(40105, 401, "the nonce was used before")
        self._nonces[nonce, timestamp] = now_ms


def _plain(value: object) -> str:
    return "" if value is None else str(value)


def _ttl_ms(key: Key, given: object) -> int:
    longest_ms = _HOUR_MS if key.is_revocable else _DAY_MS
    if given is None or given == "":
        return _HOUR_MS
    text = str(given)
    if not text.isdecimal() or not 0 < int(text) <= longest_ms:
        raise AblyError(40003, 400, f"ttl is 1 to {longest_ms} ms for this key")
    return int(text)


def _capability(key: Key, given: object) -> Capability:
    if given is None or given == "":
        return key.capability
    try:
        wanted = Capability.parse(str(given))
    except AblyError as error:
        # The tests of the Python SDK expect this code here.
        raise bad_request(error.message) from None
    return key.capability.narrowed_to(wanted)


def _details(grant: Grant) -> dict[str, Any]:
    details = {
        "token": grant.token,
        "keyName": grant.key.name,
        "issued": grant.issued_ms,
        "expires": grant.expires_ms,
        "capability": grant.capability.text,
    }
    return details if grant.client_id is None else details | {"clientId": grant.client_id}


def grant_of_jwt(token: str, keys: Keyring) -> Grant:
    """The grant that an Ably JWT carries: HS256 with an API key, whose name is the `kid`.

    Its times are not checked here. Raises AblyError 40144 when the signature or a time is not
    valid, 40400 for an unknown key, and 40012 or 40003 for a bad client or capability.
    Source: https://ably.com/docs/auth/token#jwt
    """
    try:
        header = jwt.get_unverified_header(token)
        if header["alg"] != _ALGORITHM or "kid" not in header:
            raise _not_valid(f"it needs a kid, and the algorithm {_ALGORITHM}")
        key = keys.named(header["kid"])
        with warnings.catch_warnings():
            # A key that somebody chose for their own machine may be short.
            warnings.simplefilter("ignore", jwt.InsecureKeyLengthWarning)
            claims = _SIGNATURES.decode(token, key.secret, [_ALGORITHM])
    except jwt.PyJWTError as error:
        raise _not_valid(str(error)) from None
    capability = key.capability
    if (wanted := claims.get("x-ably-capability")) is not None:
        capability = capability.narrowed_to(Capability.parse(str(wanted)))
    return Grant(
        key=key,
        capability=capability,
        client_id=identity(claims.get("x-ably-clientId")),
        issued_ms=_ms(claims.get("iat")),
        expires_ms=_ms(claims.get("exp")),
        revocation_key=claims.get("x-ably-revocation-key"),
        token=token,
    )


def _ms(given_s: object) -> int:
    # JSON as Python reads it may hold NaN and Infinity.
    if not isinstance(given_s, int | float) or not math.isfinite(given_s):
        raise _not_valid("iat and exp are needed, in seconds")
    return int(given_s * 1000)


def _not_valid(why: str) -> AblyError:
    return AblyError(40144, 401, f"not a valid JWT: {why}")
