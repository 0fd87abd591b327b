"""The feeds and their topics: one for each workspace, one for each user, one for all."""

from typing import Final

from api.activity.models import Activity
from api.announcements import WORKSPACE_FEEDS
from api.events import TopicName, parse_topic
from api.feature import OwnEventType
from api.problems import InvalidTopic
from api.security.patterns import TopicPattern
from api.security.users import InvalidUserId, addressed_user

ACTIVITY: Final = "activity"
PATTERNS: Final = (WORKSPACE_FEEDS, "user:*:activity", "public:activity")
EVENTS: Final = (OwnEventType(ACTIVITY, Activity, PATTERNS),)
_FEEDS = tuple(TopicPattern.parse(pattern) for pattern in PATTERNS)


def feed_topic(feed: str) -> TopicName:
    """Return the topic of the feed `workspace:<id>`, `user:<id>` or `public`.

    A user may be named by id or by segment. Raises `InvalidTopic` for any other text.
    """
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
