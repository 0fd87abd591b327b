"""Session tokens: HS256 with MILLRACE_SECRET, signed by us or by the team's own back end.

A token of the team's back end needs `sub` and `exp`; `roles`, `grants` and `aud` may be left out.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from api.problems import Unauthorized
from api.security.claims import principal_of
from api.security.principal import CredentialKind, Principal
from api.security.signing import Signer

AUDIENCE = "millrace:session"
SESSION_TTL_S = 3600.0

GrantTexts = Mapping[str, Sequence[str]]


class SessionTokens:
    """Issues and verifies session tokens.

    `secret` is MILLRACE_SECRET, `clock` gives epoch seconds, and `new_id` makes random ids.
    """

    def __init__(
        self, secret: str, *, clock: Callable[[], float], new_id: Callable[[], str]
    ) -> None:
        self._signer = Signer(secret.encode(), kind="JWT", is_shared=True)
        self._clock = clock
        self._new_id = new_id

    def issue(
        self,
        user: str,
        *,
        roles: Iterable[str] = (),
        grants: GrantTexts | None = None,
        ttl_s: float = SESSION_TTL_S,
    ) -> str:
        """Return a token for `user` that `verify` accepts for `ttl_s` seconds.

        `grants` lists topic patterns under `read` and `publish`; None is no grants. Raises
        Unauthorized for a user id or grants that `verify` would refuse.
        """
        now = self._clock()
        claims: dict[str, object] = {
            "aud": AUDIENCE,
            "sub": user,
            "roles": sorted(roles),
            "grants": {action: list(patterns) for action, patterns in (grants or {}).items()},
            "iat": int(now),
            "exp": round(now + ttl_s, 3),
            "jti": self._new_id(),
        }
        principal_of(claims, now=now, via=CredentialKind.BEARER)
        return self._signer.sign(claims)

    def is_mine(self, token: str) -> bool:
        """Return whether `token` has the header of a session token. The signature is not checked.

        Any other token is for the keys of the identity provider.
        """
        return self._signer.is_mine(token)

    def verify(self, token: str, *, via: CredentialKind = CredentialKind.BEARER) -> Principal:
        """Return the caller that a token names. `via` says how the token was sent.

        Raises Unauthorized and TokenExpired.
        """
        claims = self._signer.claims(token)
        if claims.get("aud", AUDIENCE) != AUDIENCE:
            raise Unauthorized(f"The claim `aud` must be `{AUDIENCE}` or left out.")
        return principal_of(claims, now=self._clock(), via=via)
