"""Builds the entries in feeds that come from what happens in other features."""

from collections.abc import Mapping
from typing import Any

from api.activity.feeds import ACTIVITY, feed_topic
from api.announcements import JobFinished, MessagePosted
from api.events import Draft


def job_finished(
    done: JobFinished, *, feed: str | None = None, details: Mapping[str, Any] | None = None
) -> Draft:
    """Build the entry of a job that has ended, for the owner's own feed.

    `feed` names another feed, such as `workspace:42`; None is the owner's. `details` are added to
    the entry. Nothing is stored here. Raises `InvalidTopic` for a `feed` that is none.
    """
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
    """Build the entry of a chat message, for the feed of the workspace with the room's id.

    `feed` names another feed; None is that of the workspace. `details` are added to the entry. The
    text of the message is left out, because a feed may have more readers than the room. Raises
    `InvalidTopic` for a `feed` that is none.
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
