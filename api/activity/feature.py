"""Builds the feature activity, with its feeds, from the settings."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from api.activity.fan_in import job_finished, message_posted
from api.activity.feeds import EVENTS, PATTERNS
from api.activity.service import ActivityFeeds
from api.announcements import JobFinished, MessagePosted, Reaction
from api.events import Retention
from api.feature import Base, Feature
from api.settings import Settings

if TYPE_CHECKING:
    from api.events import Events


def build(settings: Settings, base: Base) -> Feature:
    """Build the feature: its routes, event type, retention, and reactions to jobs and to chat.

    The topics of feeds keep a number of entries, and for longer than other topics do.
    """
    feeds = ActivityFeeds(base.publisher, base.streaming.log)

    def routes(events: "Events") -> Sequence[type]:
        from api.activity.routes import activity_routes  # noqa: PLC0415  # workers need no Litestar

        return activity_routes(feeds, events)

    reactions: dict[type, Reaction] = {JobFinished: lambda done: [job_finished(done)]}
    if settings.chat_activity:
        reactions[MessagePosted] = lambda posted: [message_posted(posted)]
    keep = Retention(
        max_events=settings.activity_max_events,
        ttl_s=settings.activity_ttl_s,
        idempotency_ttl_s=settings.idempotency_ttl_s,
    )
    return Feature(
        routes=routes,
        events=EVENTS,
        retention=dict.fromkeys(PATTERNS, keep),
        reactions=reactions,
    )
