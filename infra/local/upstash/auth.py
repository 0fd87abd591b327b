"""The two tokens of a database, and what each allows."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qsl

UNAUTHORIZED = "WRONGPASS invalid or missing auth token"
_BEARER = b"bearer "


class Access(StrEnum):
    FULL = "full"
    READONLY = "readonly"


@dataclass(frozen=True, slots=True)
class Tokens:
    """The two secrets of one database, which must differ."""

    full: str
    readonly: str

    def access_of(self, presented: bytes) -> Access | None:
        """What the token `presented` allows, or None. Any wrong token takes the same time."""
        is_full = hmac.compare_digest(presented, self.full.encode())
        is_readonly = hmac.compare_digest(presented, self.readonly.encode())
        if is_full:
            return Access.FULL
        return Access.READONLY if is_readonly else None


def presented_token(authorization: bytes | None, query: bytes) -> bytes:
    """The token of a request: the header's, else the `_token` query parameter, else empty."""
    if authorization is not None and authorization[: len(_BEARER)].lower() == _BEARER:
        return authorization[len(_BEARER) :].strip()
    if b"_token=" not in query:
        return b""
    pairs = dict(parse_qsl(query, keep_blank_values=True))
    return pairs.get(b"_token", b"")
