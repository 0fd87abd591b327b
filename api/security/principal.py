"""The caller of a request, once it is known."""

from dataclasses import dataclass
from enum import StrEnum

from api.security.patterns import TopicPattern, is_segment

ADMIN = "admin"


class CredentialKind(StrEnum):
    """How the caller proved who it is: by `Authorization: Bearer`, by the cookie or by a ticket."""

    BEARER = "bearer"
    COOKIE = "cookie"
    TICKET = "ticket"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls, and what the caller's token grants.

    `id` is the user as one segment of a topic, as `users.user_segment` makes it; anything else
    raises ValueError. `read` and `publish` are the grants. `expires_at` is the end of the original
    token in epoch seconds, also when the caller sent a ticket, because a stream must not outlive
    it; None means that it has no end. `ticket_topics` limits a caller with a ticket to these
    topics; None is no limit.
    """

    id: str
    roles: frozenset[str]
    read: tuple[TopicPattern, ...]
    publish: tuple[TopicPattern, ...]
    expires_at: float | None
    via: CredentialKind
    ticket_topics: frozenset[str] | None = None

    def __post_init__(self) -> None:
        # `*` or `a:b` would turn `user:<id>:**` into the topics of other users.
        if not is_segment(self.id):
            raise ValueError("a user id must be one topic segment")

    @property
    def is_admin(self) -> bool:
        """Whether the caller has the role `admin`, which reads and publishes everything."""
        return ADMIN in self.roles
