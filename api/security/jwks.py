"""Fetches the public keys of the identity provider's tokens from a JWKS URL (RFC 7517).

`cryptography` is loaded with the first key: it costs 120 ms of CPU, and a deployment that signs
with MILLRACE_SECRET alone never needs it.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from math import inf
from typing import TYPE_CHECKING

import httpx
import msgspec
import structlog

from api.problems import KeysUnavailable

if TYPE_CHECKING:
    from jwt import PyJWK

FETCH_TIMEOUT_S = 3.0
MAX_JWKS_BYTES = 262_144
TTL_S = 600.0  # after which the keys are fetched again
MAX_STALE_S = 86_400.0  # after which keys no longer count, if no fetch succeeded
UNKNOWN_KID_GAP_S = 30.0  # between two fetches
RETRY_GAP_S = 3.0  # between two fetches if the first failed
MIN_RSA_BITS = 2048  # RFC 7518, section 3.3
PUBLIC_MEMBERS = ("kty", "crv", "n", "e", "x", "y")

log = structlog.get_logger()


class Algorithm(StrEnum):
    """The algorithms that tokens of an identity provider may be signed with.

    None of them is symmetric: with a symmetric one, everybody who knows the public key could sign.
    """

    RS256 = "RS256"
    ES256 = "ES256"


KEY_SHAPE = {("RSA", None): Algorithm.RS256, ("EC", "P-256"): Algorithm.ES256}


class KeyDocument(msgspec.Struct):
    """The JSON that the JWKS URL answers with. Members other than `keys` are ignored."""

    keys: list[dict[str, object]]


KeySet = Mapping[tuple[str | None, Algorithm], "PyJWK"]


class JwksKeys:
    """Caches the keys for `TTL_S` seconds, and up to `MAX_STALE_S` while the URL does not answer.

    `clock` gives epoch seconds. It goes on while the process is frozen, so a revoked key does not
    outlive a freeze. If the clock was set back, a time in the future counts as long ago.
    """

    def __init__(self, url: str, *, clock: Callable[[], float]) -> None:
        self._url = url
        self._clock = clock
        self._keys: KeySet = {}
        self._fetched_at = -inf
        self._attempted_at = -inf
        self._failed = False
        self._lock = asyncio.Lock()

    async def find(self, kid: str | None, algorithm: Algorithm) -> "PyJWK | None":
        """Return the key with the id `kid`, or None when the identity provider has no such key now.

        A token without `kid` fits when there is only one key for its algorithm. The URL is fetched
        when the cached keys are too old or have no such key, but not too often. Raises
        KeysUnavailable when it does not answer and the cached keys do not have this one.
        """
        key = self._known(kid, algorithm)
        # One request fetches. An attempt is noted when it begins, so the others go on with a key
        # that was good a moment ago and do not fetch too.
        if key and not self._is_due(known=True):
            return key
        async with self._lock:
            if self._is_due(known=self._known(kid, algorithm) is not None):
                await self._refresh()
        key = self._known(kid, algorithm)
        if key is None and self._failed:
            raise KeysUnavailable
        return key

    def _known(self, kid: str | None, algorithm: Algorithm) -> "PyJWK | None":
        # Not for ever: an attacker who blocks the URL must not keep a revoked key alive.
        if self._age_s(self._fetched_at) > MAX_STALE_S:
            return None
        if kid is not None:
            return self._keys.get((kid, algorithm))
        fitting = [key for (_, fits), key in self._keys.items() if fits is algorithm]
        return fitting[0] if len(fitting) == 1 else None

    def _is_due(self, *, known: bool) -> bool:
        if known and self._age_s(self._fetched_at) < TTL_S:
            return False
        # Tokens with invented kids must not make us flood the URL with requests.
        gap_s = RETRY_GAP_S if self._failed else UNKNOWN_KID_GAP_S
        return self._age_s(self._attempted_at) >= gap_s

    def _age_s(self, at: float) -> float:
        age_s = self._clock() - at
        return age_s if age_s >= 0 else inf

    async def _refresh(self) -> None:
        # Noted before the fetch, so that nobody else tries meanwhile, nor right after a cancel.
        self._attempted_at = self._clock()
        self._failed = True
        try:
            self._keys = dict(_usable(await _fetch(self._url)))
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError) as error:
            log.warning("jwks.fetch_failed", error=type(error).__name__)
            return
        self._fetched_at = self._clock()
        self._failed = False


async def _fetch(url: str) -> bytes:
    """Fetch the body at `url`. Redirects are not followed: they could lead away from https."""
    async with (
        asyncio.timeout(FETCH_TIMEOUT_S),
        httpx.AsyncClient() as client,
        client.stream("GET", url, headers={"Accept": "application/json"}) as response,
    ):
        if response.status_code != httpx.codes.OK:
            raise ValueError(f"status {response.status_code}")
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > MAX_JWKS_BYTES:
                raise ValueError("too large")
        return bytes(body)


def _usable(body: bytes) -> Iterator[tuple[tuple[str | None, Algorithm], "PyJWK"]]:
    """Yield the keys that we can use: not those for encryption, of other curves, or symmetric."""
    for jwk in msgspec.json.decode(body, type=KeyDocument).keys:
        algorithm = _algorithm(jwk)
        kid = jwk.get("kid")
        if algorithm and (kid is None or isinstance(kid, str)) and (key := _key(jwk, algorithm)):
            yield (kid, algorithm), key


def _algorithm(jwk: Mapping[str, object]) -> Algorithm | None:
    """Return the algorithm of a key. The key fixes it, so that no token can choose another."""
    kty, crv = jwk.get("kty"), jwk.get("crv")
    if not isinstance(kty, str) or not (crv is None or isinstance(crv, str)):
        return None
    algorithm = KEY_SHAPE.get((kty, crv))
    operations = jwk.get("key_ops", ["verify"])
    verifies = isinstance(operations, list) and "verify" in operations
    fits = jwk.get("use", "sig") == "sig" and jwk.get("alg", algorithm) == algorithm
    return algorithm if verifies and fits else None


def _key(jwk: Mapping[str, object], algorithm: Algorithm) -> "PyJWK | None":
    import jwt  # noqa: PLC0415  # loads cryptography

    # Public members only: a private key published by mistake is not taken into memory.
    public = {member: jwk[member] for member in PUBLIC_MEMBERS if member in jwk}
    try:
        key = jwt.PyJWK(public, algorithm)
    except jwt.PyJWTError:
        return None
    weak = algorithm is Algorithm.RS256 and key.key.key_size < MIN_RSA_BITS
    return None if weak else key
