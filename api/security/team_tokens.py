"""Verifies the tokens that the team's own identity provider signs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from api.problems import Unauthorized
from api.security.claims import OWN_NAMES, ClaimNames, Claims, principal_of
from api.security.jwks import Algorithm, JwksKeys
from api.security.principal import CredentialKind, Principal
from api.security.signing import INVALID_TOKEN, WRONG_SIGNATURE, read_part

if TYPE_CHECKING:
    from jwt import PyJWK

# RFC 8725: a logout or DPoP token of the same issuer is signed with the same keys.
TOKEN_TYPES = {None, "jwt", "at+jwt", "application/at+jwt"}
# Keycloak gives all its tokens the header of an access token, and says in the claim `typ` what
# each is for. An ID token tells a client who signed in, and is often found in logs and URLs.
OTHER_KINDS = {"ID", "Refresh", "Offline", "Logout"}


@dataclass(frozen=True, slots=True)
class Binding:
    """The claim that shows that a token was made for us: `claim` must hold one of `values`.

    `aud` is the standard's claim. If a provider leaves it out, `azp` or `client_id` names the
    application that the token was made for.
    """

    claim: str
    values: frozenset[str]

    def check(self, claims: Claims) -> None:
        """Raise Unauthorized unless `claims` fit. The error names the claim and never its value."""
        given = claims.get(self.claim)
        held = given if isinstance(given, list) else [given]
        if not any(isinstance(one, str) and one in self.values for one in held):
            raise Unauthorized(_unfit(claims, self.claim, "MILLRACE_JWT_AUDIENCE"))


class TeamTokens:
    """Verifies RS256 and ES256 tokens with keys from the JWKS URL.

    Every token must have the `issuer`, and fit the `binding`; None means that this is not checked.
    `clock` gives epoch seconds. An error names what does not fit and never what the token holds.
    """

    def __init__(
        self,
        keys: JwksKeys,
        *,
        issuer: str | None,
        binding: Binding | None,
        clock: Callable[[], float],
        names: ClaimNames = OWN_NAMES,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._binding = binding
        self._clock = clock
        self._names = names

    async def verify(self, token: str, *, via: CredentialKind = CredentialKind.BEARER) -> Principal:
        """Return the caller that a token names. `via` says how the token was sent.

        Raises Unauthorized, TokenExpired, and KeysUnavailable when the keys cannot be fetched.
        """
        kid, algorithm = _read_header(read_part(token.partition(".")[0]))
        key = await self._keys.find(kid, algorithm)
        if key is None:
            raise Unauthorized("The token's key (`kid`) is not among those at MILLRACE_JWKS_URL.")
        _check_signature(token, key, algorithm)
        claims = read_part(token.split(".")[1])
        _refuse_other_kinds(claims)
        if self._issuer is not None and claims.get("iss") != self._issuer:
            raise Unauthorized(_unfit(claims, "iss", "MILLRACE_JWT_ISSUER"))
        if self._binding:
            self._binding.check(claims)
        return principal_of(claims, now=self._clock(), via=via, names=self._names)


def _read_header(header: Mapping[str, object]) -> tuple[str | None, Algorithm]:
    kid, typ, alg = header.get("kid"), header.get("typ"), header.get("alg")
    # Checked before the keys are used, so that no key is used with `none` or HS256.
    if not isinstance(alg, str) or alg not in set(Algorithm):
        raise Unauthorized("The token's algorithm (`alg`) is not taken: RS256 and ES256 are.")
    if (typ.lower() if isinstance(typ, str) else typ) not in TOKEN_TYPES:
        raise Unauthorized("The token's type (`typ`) is not that of an access token.")
    return (kid if isinstance(kid, str) else None), Algorithm(alg)


def _check_signature(token: str, key: "PyJWK", algorithm: Algorithm) -> None:
    import jwt  # noqa: PLC0415  # loads cryptography

    try:
        jwt.PyJWS().decode_complete(token, key, algorithms=[algorithm])
    except jwt.InvalidSignatureError:
        raise Unauthorized(WRONG_SIGNATURE) from None
    # PyJWT reads the header once more, with a decoder that raises RecursionError too.
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise Unauthorized(INVALID_TOKEN) from None


def _refuse_other_kinds(claims: Claims) -> None:
    typ = claims.get("typ")
    # `events` makes it a logout token (OpenID Connect Back-Channel Logout 1.0, section 2.4).
    if "events" in claims or (isinstance(typ, str) and typ in OTHER_KINDS):
        raise Unauthorized("The token's claim `typ` or `events` says that it is for another end.")


def _unfit(claims: Claims, claim: str, setting: str) -> str:
    if claim not in claims:
        return f"The token has no claim `{claim}`, which {setting} demands."
    return f"The claim `{claim}` does not fit {setting}."
