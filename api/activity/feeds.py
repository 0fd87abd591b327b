"""Which feeds there are: a topic for each workspace, one for each user, one for all."""

from typing import Final

from api.activity.models import Activity
from api.events import Catalogue, Retention, TopicName, parse_topic
from api.problems import InvalidTopic
from api.security.patterns import TopicPattern
from api.security.users import InvalidUserId, addressed_user
from api.settings import Settings

ACTIVITY: Final = "activity"
WORKSPACES: Final = "workspace:*:activity"
PATTERNS: Final = (WORKSPACES, "user:*:activity", "public:activity")
_FEEDS = tuple(TopicPattern.parse(pattern) for pattern in PATTERNS)


def feed_topic(feed: str) -> TopicName:
    """The topic of the feed `workspace:<id>`, `user:<id>` or `public`. Raises `InvalidTopic`."""
    kind, _, named = feed.partition(":")
    topic = parse_topic(f"{_of_user(named) if kind == 'user' else feed}:{ACTIVITY}")
    if not any(pattern.matches(topic) for pattern in _FEEDS):
        raise InvalidTopic("A feed is workspace:<id>, user:<id> or public.")
    return topic


def _of_user(named: str) -> str:
    try:
        return f"user:{addressed_user(named)}"
    except InvalidUserId:
        raise InvalidTopic("A feed of a user is user:<id>.") from None


def declare_events(catalogue: Catalogue) -> None:
    """Add our type."""
    catalogue.declare(ACTIVITY, Activity, topics=PATTERNS)


def retentions(settings: Settings) -> dict[TopicPattern, Retention]:
    """Feeds are kept by number, and much longer than other topics."""
    keep = Retention(
        max_events=settings.activity_max_events,
        ttl_s=settings.activity_ttl_s,
        idempotency_ttl_s=settings.idempotency_ttl_s,
    )
    return dict.fromkeys(_FEEDS, keep)
