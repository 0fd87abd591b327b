"""Tokens that the team's own identity provider signs."""

from collections.abc import Callable, Mapping

from api.problems import Unauthorized
from api.security.claims import principal_of
from api.security.jwks import Algorithm, JwksKeys
from api.security.principal import CredentialKind, Principal
from api.security.signing import INVALID_TOKEN

# RFC 8725: a logout or DPoP token of the same issuer is signed with the same keys.
TOKEN_TYPES = {None, "jwt", "at+jwt", "application/at+jwt"}


class TeamTokens:
    """Verifies RS256 and ES256 tokens with keys from the JWKS URL.

    `issuer` and `audience` are required of every token when set.
    """

    def __init__(
        self,
        keys: JwksKeys,
        *,
        issuer: str | None,
        audience: str | None,
        clock: Callable[[], float],
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._clock = clock

    async def verify(self, token: str, *, via: CredentialKind = CredentialKind.BEARER) -> Principal:
        """The caller. Raises Unauthorized, TokenExpired and KeysUnavailable."""
        import jwt  # noqa: PLC0415  # loads cryptography

        try:
            kid, algorithm = _read_header(jwt.get_unverified_header(token))
            key = await self._keys.find(kid, algorithm)
            if key is None:
                raise Unauthorized(INVALID_TOKEN)
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                issuer=self._issuer,
                audience=self._audience,
                # The times are checked against our clock, with the other claims.
                options={
                    "verify_aud": self._audience is not None,
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except jwt.PyJWTError:
            raise Unauthorized(INVALID_TOKEN) from None
        return principal_of(claims, now=self._clock(), via=via)


def _read_header(header: Mapping[str, object]) -> tuple[str | None, Algorithm]:
    kid, typ, alg = header.get("kid"), header.get("typ"), header.get("alg")
    # Before the keys are looked at, so that `none` and HS256 never meet one.
    if not isinstance(alg, str) or alg not in set(Algorithm):
        raise Unauthorized(INVALID_TOKEN)
    if (typ.lower() if isinstance(typ, str) else typ) not in TOKEN_TYPES:
        raise Unauthorized(INVALID_TOKEN)
    return (kid if isinstance(kid, str) else None), Algorithm(alg)
