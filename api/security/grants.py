"""Decides who may read and publish topics. It is denied unless a pattern or a rule grants it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from enum import StrEnum
from typing import Protocol

import structlog

from api.foreign_code import result_of
from api.problems import Forbidden, StoreUnavailable
from api.security.patterns import TopicPattern, is_topic
from api.security.principal import Principal

EVERYTHING = TopicPattern.parse("**")
PUBLIC = TopicPattern.parse("public:**")
RULE_TIMEOUT_S = 5.0
TOPICS_IN_DETAIL = 5  # how many topics an error names at most

log = structlog.get_logger()


class Action(StrEnum):
    """What a caller wants to do with a topic: `READ` its events, or `PUBLISH` events to it."""

    READ = "read"
    PUBLISH = "publish"


class TopicRule(Protocol):
    """A rule of a feature or an extension, such as "a job's owner reads `job:<id>`".

    Extensions implement it. It is asked only about topics of the pattern that it was added with,
    and only when nothing else grants. It can grant by True and cannot take anything away. When it
    raises, or takes more than `RULE_TIMEOUT_S` seconds, it has not granted; only StoreUnavailable
    is passed on.
    """

    async def allows(self, principal: Principal, action: Action, topic: str) -> bool:
        """Return True if this rule lets `principal` do `action` with `topic`."""
        ...


class Access:
    """Decides whether callers may read or publish topics. No decision is cached."""

    def __init__(self) -> None:
        self._rules: list[tuple[TopicPattern, TopicRule]] = []

    def add_rule(self, pattern: str, rule: TopicRule) -> None:
        """Ask `rule` about topics of `pattern` from now on. Raises InvalidPattern."""
        self._rules.append((TopicPattern.parse(pattern), rule))

    async def can_read(self, principal: Principal, topic: str) -> bool:
        """Return whether `principal` may read `topic`.

        Raises StoreUnavailable when only a rule could tell and the store does not answer.
        """
        scope = principal.ticket_topics
        if scope is not None and topic not in scope:
            return False
        return await self._allows(principal, Action.READ, topic)

    async def can_publish(self, principal: Principal, topic: str) -> bool:
        """Return whether `principal` may publish to `topic`; with a ticket, never.

        Raises StoreUnavailable as `can_read`.
        """
        # A ticket is sent in a URL, and URLs are written to logs: it must not allow writing.
        if principal.ticket_topics is not None:
            return False
        return await self._allows(principal, Action.PUBLISH, topic)

    async def require_read(self, principal: Principal, topics: Iterable[str]) -> None:
        """Raise Forbidden unless the caller may read all `topics`.

        Raises StoreUnavailable as `can_read`.
        """
        await _require(self.can_read, principal, topics)

    async def require_publish(self, principal: Principal, topics: Iterable[str]) -> None:
        """Raise Forbidden unless the caller may publish to all `topics`.

        Raises StoreUnavailable as `can_read`.
        """
        await _require(self.can_publish, principal, topics)

    async def _allows(self, principal: Principal, action: Action, topic: str) -> bool:
        if not is_topic(topic):
            return False
        if any(pattern.matches(topic) for pattern in _patterns(principal, action)):
            return True
        return await self._granted_by_rule(principal, action, topic)

    async def _granted_by_rule(self, principal: Principal, action: Action, topic: str) -> bool:
        outage: StoreUnavailable | None = None
        for pattern, rule in self._rules:
            if not pattern.matches(topic):
                continue
            try:
                if await _ask(rule, principal, action, topic):
                    return True
            except StoreUnavailable as error:
                outage = error
        # A failure of the store may pass. On a 403 instead, an EventSource would give up for good.
        if outage:
            raise outage
        return False


def require_ticket(principal: Principal, topics: Iterable[str]) -> None:
    """Raise Forbidden if the caller has a ticket that is not for all `topics`.

    This is for streams that a caller may read without a grant, because they are the caller's own.
    """
    scope = principal.ticket_topics
    if scope is not None and not scope.issuperset(topics):
        raise Forbidden("The ticket is not for the topics of this stream.")


def _patterns(principal: Principal, action: Action) -> tuple[TopicPattern, ...]:
    if principal.is_admin:
        return (EVERYTHING,)
    if action is Action.PUBLISH:
        return principal.publish
    own = TopicPattern(("user", principal.id), is_open=True)
    return (own, PUBLIC, *principal.read)


async def _ask(rule: TopicRule, principal: Principal, action: Action, topic: str) -> bool:
    try:
        async with asyncio.timeout(RULE_TIMEOUT_S):
            # `is True`, because a rule that forgot an await returns a coroutine, which is truthy.
            return (await result_of(rule.allows, principal, action, topic)) is True
    except StoreUnavailable:
        raise
    except Exception as error:  # noqa: BLE001  # a broken rule denies, it does not break the request
        log.warning("grant.rule_failed", rule=type(rule).__name__, error=type(error).__name__)
        return False


async def _require(
    can: Callable[[Principal, str], Awaitable[bool]], principal: Principal, topics: Iterable[str]
) -> None:
    wanted = list(dict.fromkeys(topics))
    granted = await asyncio.gather(*(can(principal, topic) for topic in wanted))
    denied = [topic for topic, ok in zip(wanted, granted, strict=True) if not ok]
    # In the same words whether the topic exists or not, so that nobody learns which exist.
    if denied:
        raise Forbidden(f"Not granted: {', '.join(denied[:TOPICS_IN_DETAIL])}")
