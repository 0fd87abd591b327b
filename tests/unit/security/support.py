"""Builders for tests about who calls."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

from api.security.patterns import TopicPattern
from api.security.principal import CredentialKind, Principal
from api.security.tokens import SessionTokens

NOW = 1_795_000_000.0
SECRET = "h7Qw2-unit-tests-only-c0ffee-0123456789"


class FakeClock:
    """Time that passes when the test says so, in seconds."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def counting_ids(prefix: str = "id") -> Callable[[], str]:
    """id-1, id-2, ..."""
    numbers = itertools.count(1)
    return lambda: f"{prefix}-{next(numbers)}"


def principal(
    user: str = "alice",
    *,
    roles: Iterable[str] = (),
    read: Iterable[str] = (),
    publish: Iterable[str] = (),
    ticket_topics: Iterable[str] | None = None,
    expires_at: float | None = NOW + 3600,
) -> Principal:
    return Principal(
        id=user,
        roles=frozenset(roles),
        read=tuple(TopicPattern.parse(text) for text in read),
        publish=tuple(TopicPattern.parse(text) for text in publish),
        expires_at=expires_at,
        via=CredentialKind.BEARER if ticket_topics is None else CredentialKind.TICKET,
        ticket_topics=None if ticket_topics is None else frozenset(ticket_topics),
    )


def session_tokens(clock: FakeClock | None = None, *, secret: str = SECRET) -> SessionTokens:
    return SessionTokens(secret, clock=clock or FakeClock(), new_id=counting_ids("jti"))
