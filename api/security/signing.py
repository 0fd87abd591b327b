"""Signs and checks our own tokens: compact JWTs with HS256 (RFC 7519).

They are made with the standard library, because PyJWT loads `cryptography`: that takes 120 ms of
CPU in every cold start, only to check an HMAC. Tokens of others need other algorithms and go
through PyJWT.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping

import msgspec

from api.problems import Unauthorized

INVALID_TOKEN = "The token is not valid."  # noqa: S105  # a text for the caller
UNKNOWN_HEADER = "The token's header (`alg`, `typ`) is not that of a token that is taken here."
WRONG_SIGNATURE = "The token's signature does not fit its key."
MAX_TOKEN_CHARS = 8192


class Signer:
    """Signs and checks tokens of one kind, with one key and one algorithm.

    `kind` is the `typ` in their header. `is_shared` says that a team's own back end signs such
    tokens too, with a library of its own. Then any header is accepted that means plain HS256.
    """

    def __init__(self, key: bytes, *, kind: str, is_shared: bool = False) -> None:
        self._key = key
        self._is_shared = is_shared
        self._header = base64url(msgspec.json.encode({"alg": "HS256", "typ": kind}))

    def is_mine(self, token: str) -> bool:
        """Return whether `token` has this signer's header. The signature is not checked."""
        header = token.partition(".")[0]
        return header == self._header or (self._is_shared and _is_plain_hs256(header))

    def sign(self, claims: Mapping[str, object]) -> str:
        """Return a signed token with these claims."""
        body = f"{self._header}.{base64url(msgspec.json.encode(claims))}"
        return f"{body}.{self._signature(body)}"

    def claims(self, token: str) -> dict[str, object]:
        """Return the claims of a token after checking its signature. Raises Unauthorized.

        No claim is checked, not even the time at which the token expires.
        """
        # The header chooses nothing: `alg: none`, another algorithm, a key of its own (`jwk`)
        # or `crit` make it a header that is not ours.
        if len(token) > MAX_TOKEN_CHARS or not token.isascii():
            raise Unauthorized(INVALID_TOKEN)
        if not self.is_mine(token):
            raise Unauthorized(UNKNOWN_HEADER)
        body, _, signature = token.rpartition(".")
        # Compared as texts: after decoding, several spellings of one signature would be accepted.
        if not hmac.compare_digest(signature, self._signature(body)):
            raise Unauthorized(WRONG_SIGNATURE)
        return read_part(body.partition(".")[2])

    def _signature(self, body: str) -> str:
        return base64url(hmac.digest(self._key, body.encode(), hashlib.sha256))


def base64url(raw: bytes) -> str:
    """Return base64 for URLs without padding, as JWTs are written (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def read_part(part: str) -> dict[str, object]:
    """Decode the header or the claims of a token, which are JSON in base64url. Nothing is verified.

    Raises Unauthorized for what is not a JSON object.
    """
    try:
        raw = base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
        return msgspec.json.decode(raw, type=dict[str, object])
    # The decoder raises RecursionError for what is nested deeply, and no signature is
    # needed to send that.
    except (ValueError, RecursionError):
        raise Unauthorized(INVALID_TOKEN) from None


def _is_plain_hs256(header: str) -> bool:
    try:
        fields = read_part(header)
    except Unauthorized:
        return False
    is_known = fields.keys() <= {"alg", "typ", "kid"}
    return is_known and fields.get("alg") == "HS256" and fields.get("typ", "JWT") == "JWT"
