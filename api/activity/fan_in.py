"""The entries in feeds that come from what happens in other features."""

from collections.abc import Mapping
from typing import Any

from api.activity.feeds import ACTIVITY, feed_topic
from api.announcements import JobFinished, MessagePosted
from api.events import Draft


def job_finished(
    done: JobFinished, *, feed: str | None = None, details: Mapping[str, Any] | None = None
) -> Draft:
    """The entry of a job that came to its end, in its owner's own feed unless `feed` is given."""
    link = f"/api/jobs/{done.job_id}"
    return Draft(
        feed_topic(feed or f"user:{done.owner}"),
        ACTIVITY,
        {
            "actor": done.owner,
            "verb": done.status,
            "object": {"type": "job", "id": done.job_id, "title": done.kind, "link": link},
            "details": dict(details or {}),
        },
    )


def message_posted(
    posted: MessagePosted, *, feed: str | None = None, details: Mapping[str, Any] | None = None
) -> Draft:
    """The entry of a chat message, in the feed of the workspace that has the room's id.

    It is in `feed` instead if that is given. The text of the message is not in it: a feed may
    have more readers than the room.
    """
    return Draft(
        feed_topic(feed or f"workspace:{posted.room}"),
        ACTIVITY,
        {
            "actor": posted.user,
            "verb": "posted",
            "object": {"type": "message", "id": posted.message_id},
            "details": {"room": posted.room, **(details or {})},
        },
    )
