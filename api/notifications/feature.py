"""Builds the feature notifications from the settings."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from api.announcements import UserMentioned
from api.events import Draft, Retention
from api.feature import Base, Feature
from api.notifications.service import Notifications
from api.notifications.state import ReadStates
from api.notifications.topics import BROADCAST, EVENTS, NOTIFICATION, PERSONAL, personal
from api.settings import Settings

if TYPE_CHECKING:
    from api.events import Events

# A user's own topic also has what was read and deleted: two more entries for each at most.
ENTRIES_EACH: Final = 3
MENTION_CHARS: Final = 500


def build(settings: Settings, base: Base) -> Feature:
    """Build the feature: its routes, event types, retention, and the reaction to mentions in chat.

    Its topics keep the newest events whatever their age; what is too old is left out when it is
    read.
    """
    log = base.streaming.log
    states = ReadStates(log, settings.notifications_ttl_s, base.system.clock)
    notifications = Notifications(base.publisher, log, states)

    def routes(events: "Events") -> Sequence[type]:
        from api.notifications.routes import (  # noqa: PLC0415  # workers need no Litestar
            notification_routes,
        )

        return notification_routes(notifications, events)

    def keep(max_events: int) -> Retention:
        return Retention(
            max_events=max_events,
            # The TTL is renewed when a quarter of it has passed, so an event has three quarters.
            ttl_s=settings.notifications_ttl_s * 4 // 3 + 1,
            idempotency_ttl_s=settings.idempotency_ttl_s,
        )

    return Feature(
        routes=routes,
        events=EVENTS,
        retention={
            PERSONAL: keep(settings.notifications_max * ENTRIES_EACH),
            BROADCAST: keep(settings.notifications_max),
        },
        reactions={UserMentioned: user_mentioned},
    )


def user_mentioned(mention: UserMentioned) -> list[Draft]:
    """Build the notification of a user whom a chat message names; the list holds one draft."""
    notification = {
        "title": f"{mention.author or 'Somebody'} mentioned you in {mention.room}",
        "body": mention.text[:MENTION_CHARS],
        "data": {"room": mention.room, "message": mention.message_id},
    }
    return [Draft(personal(mention.user), NOTIFICATION, notification)]
