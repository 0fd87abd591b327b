"""What the claims of a verified token mean. Doubt is an error, never a wider grant."""

import math
from collections.abc import Mapping
from typing import TypeGuard

from api.problems import TokenExpired, Unauthorized
from api.security.patterns import InvalidPattern, TopicPattern, is_segment
from api.security.principal import CredentialKind, Principal

CLOCK_SKEW_S = 5.0

Claims = Mapping[str, object]


def principal_of(claims: Claims, *, now: float, via: CredentialKind) -> Principal:
    """The caller that verified `claims` name at `now` (epoch seconds).

    Raises TokenExpired, and Unauthorized for claims that are missing or malformed; its
    detail names the claim and never its value.
    """
    expires_at = _lifetime(claims, now)
    read, publish = _grants(claims.get("grants", {}))
    return Principal(
        id=_user_id(claims.get("sub")),
        roles=frozenset(strings(claims.get("roles", []), "roles")),
        read=read,
        publish=publish,
        expires_at=expires_at,
        via=via,
    )


def strings(value: object, claim: str) -> list[str]:
    """`value` as a list of texts. Raises Unauthorized naming `claim`."""
    if not _is_strings(value):
        raise Unauthorized(f"The claim `{claim}` must be a list of texts.")
    return value


def timestamp(value: object, claim: str) -> float:
    """`value` as epoch seconds. Raises Unauthorized naming `claim`."""
    # A boolean is an int in Python, and `Infinity` would be a token without an end.
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Unauthorized(f"The claim `{claim}` must be a time in epoch seconds.")
    return float(value)


def _lifetime(claims: Claims, now: float) -> float:
    for claim in ("nbf", "iat"):
        if claim in claims and timestamp(claims[claim], claim) > now + CLOCK_SKEW_S:
            raise Unauthorized("The token is not valid yet.")
    expires_at = timestamp(claims.get("exp"), "exp")
    # No leeway here: a stream that is opened after `exp` would only be ended at once.
    if expires_at <= now:
        raise TokenExpired
    return expires_at


def _user_id(value: object) -> str:
    # An id such as `a:b` or `*` would forge the topics and grants of another user.
    if not isinstance(value, str) or not is_segment(value):
        raise Unauthorized(
            "The claim `sub` must be 1 to 64 letters, digits or _.~- to be a user id here."
        )
    return value


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
    # A list and no other sequence: "admin" would be the roles a, d, m, i and n.
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
