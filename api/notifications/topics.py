"""The topics of notifications, one for each user and one for all, and the types of their events."""

from typing import Final

from api.events import EventId, TopicName
from api.feature import OwnEventType
from api.notifications.models import Notification, NotificationsDeleted, NotificationsRead

BROADCAST: Final = TopicName("public:notifications")
PERSONAL: Final = "user:*:notifications"
NOTIFICATION: Final = "notification"
READ: Final = "notifications.read"
DELETED: Final = "notifications.deleted"
EVENTS: Final = (
    OwnEventType(NOTIFICATION, Notification, (PERSONAL, BROADCAST)),
    OwnEventType(READ, NotificationsRead, (PERSONAL,)),
    OwnEventType(DELETED, NotificationsDeleted, (PERSONAL,)),
)


def personal(user: str) -> TopicName:
    """Return the topic of what is sent to `user` alone, and of what `user` reads and deletes."""
    return TopicName(f"user:{user}:notifications")


def topics_of(user: str) -> tuple[TopicName, TopicName]:
    """Return both topics with notifications for `user`: the user's own, then the one for all."""
    return personal(user), BROADCAST


def parse_name(text: str) -> tuple[str, EventId]:
    """Read the id of a notification, such as `user:42:notifications/1-0`: topic and event id.

    The topic is not checked. Raises `InvalidEventId`.
    """
    topic, _, event_id = text.partition("/")
    return topic, EventId.parse(event_id)
