"""Announcements: what happened in one feature, for the other features that publish events about it.

A feature announces what happened. Other features have registered reactions, which turn the
announcement into drafts of events. The announcing feature stores these drafts together with its own
change: all of it is stored, or nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from api.events import Draft

WORKSPACE_FEEDS: Final = "workspace:*:activity"
"""Topic pattern of the activity feeds of workspaces.

Members of a chat room may read the feed of the workspace with the same id.
"""


@dataclass(frozen=True, slots=True)
class JobFinished:
    """Announced when a job has ended.

    `owner` is the id of the user who created the job, `kind` the job type, and `status` one of
    succeeded, failed, canceled and expired.
    """

    owner: str
    job_id: str
    kind: str
    status: str


@dataclass(frozen=True, slots=True)
class MessagePosted:
    """Announced when a user has written a message in a chat room.

    `room`, `user` and `message_id` are ids. The text of the message is not included.
    """

    room: str
    user: str
    message_id: str


@dataclass(frozen=True, slots=True)
class UserMentioned:
    """Announced when a message in a chat room names the user with the id `user`.

    `author` is the id of the user who wrote the message, or None if Ably does not say. `text` is
    the text of the message.
    """

    user: str
    author: str | None
    room: str
    message_id: str
    text: str


Reaction = Callable[[Any], Sequence[Draft]]
"""Takes one announcement and returns the drafts of the events that it leads to, or no drafts."""


class Announcements:
    """The reactions of all features, by the class of the announcement."""

    def __init__(self) -> None:
        self._reactions: dict[type, list[Reaction]] = {}

    def add(self, kind: type, reaction: Reaction) -> None:
        """Have `reaction` called for every announcement whose class is exactly `kind`."""
        self._reactions.setdefault(kind, []).append(reaction)

    def drafts(self, announced: object) -> list[Draft]:
        """Return the drafts of all reactions to `announced`, in the order of their registration.

        Nothing is published here: the caller stores the drafts together with its own change.
        """
        reactions = self._reactions.get(type(announced), ())
        return [draft for reaction in reactions for draft in reaction(announced)]
