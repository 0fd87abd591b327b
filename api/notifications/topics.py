"""Where notifications stand: one topic for each user, and one for all."""

from typing import Final

from api.events import Catalogue, EventId, Retention, TopicName
from api.notifications.models import Notification, NotificationsDeleted, NotificationsRead
from api.security.patterns import TopicPattern
from api.settings import Settings

BROADCAST: Final = TopicName("public:notifications")
PERSONAL: Final = "user:*:notifications"
NOTIFICATION: Final = "notification"
READ: Final = "notifications.read"
DELETED: Final = "notifications.deleted"
# A user's own topic also tells what was read and deleted: two more entries for each at most.
ENTRIES_EACH: Final = 3


def personal(user: str) -> TopicName:
    """The topic of what is sent to `user` alone, and of what `user` reads and deletes."""
    return TopicName(f"user:{user}:notifications")


def topics_of(user: str) -> tuple[TopicName, TopicName]:
    """All that `user` is notified by."""
    return personal(user), BROADCAST


def parse_name(text: str) -> tuple[str, EventId]:
    """The topic and the id. Raises `InvalidEventId`."""
    topic, _, event_id = text.partition("/")
    return topic, EventId.parse(event_id)


def declare_events(catalogue: Catalogue) -> None:
    """Add our types."""
    catalogue.declare(NOTIFICATION, Notification, topics=(PERSONAL, BROADCAST))
    catalogue.declare(READ, NotificationsRead, topics=(PERSONAL,))
    catalogue.declare(DELETED, NotificationsDeleted, topics=(PERSONAL,))


def retentions(settings: Settings) -> dict[TopicPattern, Retention]:
    """By number here; by age where notifications are read."""

    def keep(max_events: int) -> Retention:
        return Retention(
            max_events=max_events,
            # A topic is only sure to outlive an event by three quarters of its TTL.
            ttl_s=settings.notifications_ttl_s * 4 // 3 + 1,
            idempotency_ttl_s=settings.idempotency_ttl_s,
        )

    return {
        TopicPattern.parse(PERSONAL): keep(settings.notifications_max * ENTRIES_EACH),
        TopicPattern.parse(BROADCAST): keep(settings.notifications_max),
    }
