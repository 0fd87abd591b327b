"""What other features bring into feeds, as drafts for them to store with their own change.

They do not know this package: the wiring hands these functions to them.
"""

from collections.abc import Mapping
from typing import Any

from api.activity.feeds import ACTIVITY, feed_topic
from api.events import Draft


def job_finished(
    owner: str,
    job_id: str,
    kind: str,
    status: str,
    *,
    feed: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> Draft:
    """A job came to its end: in its owner's own feed unless another is named.

    `status` is the verb: succeeded, failed, canceled or expired.
    """
    return Draft(
        feed_topic(feed or f"user:{owner}"),
        ACTIVITY,
        {
            "actor": owner,
            "verb": status,
            "object": {"type": "job", "id": job_id, "title": kind, "link": f"/api/jobs/{job_id}"},
            "details": dict(details or {}),
        },
    )


def message_posted(
    room: str,
    client_id: str,
    message_id: str,
    *,
    feed: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> Draft:
    """Somebody wrote in a chat room: in the feed of the workspace of the same id unless another
    is named. The text itself stays in the room, whose members may be fewer than the feed's.
    """  # noqa: D205  # one sentence
    return Draft(
        feed_topic(feed or f"workspace:{room}"),
        ACTIVITY,
        {
            "actor": client_id,
            "verb": "posted",
            "object": {"type": "message", "id": message_id},
            "details": {"room": room, **(details or {})},
        },
    )
