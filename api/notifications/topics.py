"""The topics of notifications: one for each user, and one for all."""

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
    """The topic of what is sent to `user` alone, and of what `user` reads and deletes."""
    return TopicName(f"user:{user}:notifications")


def topics_of(user: str) -> tuple[TopicName, TopicName]:
    """All topics with notifications for `user`."""
    return personal(user), BROADCAST


def parse_name(text: str) -> tuple[str, EventId]:
    """The topic and the event id of a name such as `user:42:notifications/1-0`.

    Raises `InvalidEventId`.
    """
    topic, _, event_id = text.partition("/")
    return topic, EventId.parse(event_id)
