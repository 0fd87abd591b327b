"""What happens in one feature and leads to events of others, which it does not know.

A feature announces what happened. The features that care have said which events they make of
it. The one that announced stores these events together with its own change, or none of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from api.events import Draft

WORKSPACE_FEEDS: Final = "workspace:*:activity"
"""The feeds of workspaces, which the members of a chat room of the same id read too."""


@dataclass(frozen=True, slots=True)
class JobFinished:
    """A job came to its end; `status` is succeeded, failed, canceled or expired."""

    owner: str
    job_id: str
    kind: str
    status: str


@dataclass(frozen=True, slots=True)
class MessagePosted:
    """Somebody wrote in a chat room. The text itself stays in the room."""

    room: str
    user: str
    message_id: str


@dataclass(frozen=True, slots=True)
class UserMentioned:
    """A message in a chat room names a user; `author` is None where Ably does not say."""

    user: str
    author: str | None
    room: str
    message_id: str
    text: str


Reaction = Callable[[Any], Sequence[Draft]]
"""The drafts that one announcement leads to."""


class Announcements:
    """The reactions of all features, by the type of what is announced."""

    def __init__(self) -> None:
        self._reactions: dict[type, list[Reaction]] = {}

    def add(self, kind: type, reaction: Reaction) -> None:
        """Have `reaction` asked whenever something of this type is announced."""
        self._reactions.setdefault(kind, []).append(reaction)

    def drafts(self, announced: object) -> list[Draft]:
        """What is to be published because of `announced`; the announcer stores it."""
        reactions = self._reactions.get(type(announced), ())
        return [draft for reaction in reactions for draft in reaction(announced)]
