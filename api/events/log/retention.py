"""How many events each topic keeps, and for how long."""

from dataclasses import dataclass, field

from api.events.topic import TopicName
from api.security.patterns import TopicPattern


@dataclass(frozen=True, slots=True)
class Retention:
    """How much one topic keeps.

    It keeps its newest `max_events` at least, for about `ttl_s` seconds after the last one. An
    idempotency key is known for `idempotency_ttl_s` seconds.
    """

    max_events: int
    ttl_s: int
    idempotency_ttl_s: int


@dataclass(frozen=True, slots=True)
class Retentions:
    """The retention of every topic.

    That is the one of the first pattern in `special` that matches the topic, or `usual` if none
    does.
    """

    usual: Retention
    special: dict[TopicPattern, Retention] = field(default_factory=dict)

    def add(self, pattern: str, retention: Retention) -> None:
        """Set the retention of the topics that match `pattern`.

        Patterns added earlier take precedence.

        Raises `InvalidPattern`.
        """
        self.special[TopicPattern.parse(pattern)] = retention

    def of(self, topic: TopicName) -> Retention:
        """Return the retention of `topic`."""
        for pattern, retention in self.special.items():
            if pattern.matches(topic):
                return retention
        return self.usual
