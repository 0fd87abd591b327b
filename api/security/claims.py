"""Reads the claims of a verified token. A claim that is in doubt is an error and grants nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeGuard

from api.problems import TokenExpired, Unauthorized
from api.security.patterns import InvalidPattern, TopicPattern
from api.security.principal import CredentialKind, Principal
from api.security.users import InvalidUserId, user_segment

CLOCK_SKEW_S = 5.0  # by which `nbf` and `iat` may be ahead of our clock
# In milliseconds it still fits into 64 bits, so no later arithmetic can overflow.
MAX_TIME_S = 1e15

Claims = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ClaimNames:
    """The names of the claims that hold a token's user and its roles.

    A name is that of a claim, or a path of names with dots, such as `realm_access.roles`. A claim
    with the whole name comes before a path.
    """

    user: str = "sub"
    roles: str = "roles"


OWN_NAMES = ClaimNames()


def principal_of(
    claims: Claims,
    *,
    now: float,
    via: CredentialKind,
    names: ClaimNames = OWN_NAMES,
    as_segment: Callable[[str], str] = user_segment,
) -> Principal:
    """Return the caller that the claims of a verified token name.

    `now` is in epoch seconds. `via` says how the token was sent. `names` says which claims hold
    user and roles. `as_segment` turns the user that the token names into the caller's id. Raises
    TokenExpired, and Unauthorized for claims that are missing or malformed; its detail names the
    claim and never its value.
    """
    expires_at = _lifetime(claims, now)
    read, publish = _grants(claims.get("grants", {}))
    return Principal(
        id=_user(find(claims, names.user), names.user, as_segment),
        roles=_roles(find(claims, names.roles), names.roles),
        read=read,
        publish=publish,
        expires_at=expires_at,
        via=via,
    )


def strings(value: object, claim: str) -> list[str]:
    """Return `value` if it is a list of texts. Raises Unauthorized naming `claim`."""
    if not _is_strings(value):
        raise Unauthorized(f"The claim `{claim}` must be a list of texts.")
    return value


def timestamp(value: object, claim: str) -> float:
    """Return `value` as a float of epoch seconds. Raises Unauthorized naming `claim`."""
    # A boolean is an int in Python, and `Infinity` would be a token without an end. Compared
    # before it is converted: an integer of 400 digits is no float.
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not abs(value) <= MAX_TIME_S
    ):
        raise Unauthorized(f"The claim `{claim}` must be a time in epoch seconds.")
    return float(value)


def find(claims: Claims, name: str) -> object:
    """Return the value of the claim `name`, which may be a path with dots; None if absent."""
    if name in claims:
        return claims[name]
    found: object = claims
    for part in name.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(part)
    return found


def _lifetime(claims: Claims, now: float) -> float:
    for claim in ("nbf", "iat"):
        if claim in claims and timestamp(claims[claim], claim) > now + CLOCK_SKEW_S:
            raise Unauthorized("The token is not valid yet.")
    expires_at = timestamp(claims.get("exp"), "exp")
    # No leeway for clocks: a stream opened after `exp` would be ended at once.
    if expires_at <= now:
        raise TokenExpired
    return expires_at


def _user(value: object, claim: str, as_segment: Callable[[str], str]) -> str:
    try:
        # Escaped: an id such as `a:b` or `*` could otherwise stand for another user's topics.
        return as_segment(value if isinstance(value, str) else "")
    except InvalidUserId as error:
        raise Unauthorized(f"The claim `{claim}` names no user: {error}.") from None


def _roles(value: object, claim: str) -> frozenset[str]:
    """Return `value` as roles. Only a claim that a setting names may hold one role as a text."""
    if value is None:
        return frozenset()
    is_own = claim == OWN_NAMES.roles
    return frozenset([value] if isinstance(value, str) and not is_own else strings(value, claim))


def _grants(value: object) -> tuple[tuple[TopicPattern, ...], tuple[TopicPattern, ...]]:
    # An unknown member may be a typing error that hides a grant, or a limit we do not know.
    if not isinstance(value, dict) or not value.keys() <= {"read", "publish"}:
        raise Unauthorized("The claim `grants` must hold `read` and `publish` and nothing else.")
    return _patterns(value.get("read", [])), _patterns(value.get("publish", []))


def _patterns(value: object) -> tuple[TopicPattern, ...]:
    try:
        return tuple(TopicPattern.parse(text) for text in strings(value, "grants"))
    except InvalidPattern as error:
        raise Unauthorized(f"The claim `grants` is malformed: {error}.") from None


def _is_strings(value: object) -> TypeGuard[list[str]]:
    # Only a list: the text "admin" is a sequence too, of the roles a, d, m, i and n.
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
