"""How much of each topic is kept, and for how long."""

from dataclasses import dataclass, field

from api.events.topic import TopicName
from api.security.patterns import TopicPattern


@dataclass(frozen=True, slots=True)
class Retention:
    """How much a topic keeps: its newest `max_events` or more.

    They are kept for about `ttl_s` seconds after the last one. The idempotency key of a publish
    is known for `idempotency_ttl_s`.
    """

    max_events: int
    ttl_s: int
    idempotency_ttl_s: int


@dataclass(frozen=True, slots=True)
class Retentions:
    """What each topic keeps: as the first pattern that matches says, else `usual`."""

    usual: Retention
    special: dict[TopicPattern, Retention] = field(default_factory=dict)

    def add(self, pattern: str, retention: Retention) -> None:
        """Have topics of `pattern` keep this. Raises `InvalidPattern`."""
        self.special[TopicPattern.parse(pattern)] = retention

    def of(self, topic: TopicName) -> Retention:
        """What this topic keeps."""
        for pattern, retention in self.special.items():
            if pattern.matches(topic):
                return retention
        return self.usual
