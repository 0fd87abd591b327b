"""What a notification is, and the JSON that comes in and goes out."""

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from api.payloads.links import Link
from api.payloads.models import Body, View, example
from api.security.users import UserId

MAX_USERS = 100
MAX_IDS = 100

NotificationId = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9_.~:-]{1,519}/[0-9]{1,20}-[0-9]{1,20}$",
        examples=["user:alice:notifications/1763650000000-0"],
        description="`<topic>/<id>` of the notification.",
    ),
]


class Level(StrEnum):
    """How much a notification matters to who reads it."""

    INFO = "info"
    SUCCESS = "success"
    WARNING = "warning"
    ERROR = "error"


class Notification(Body):
    """Something that a user should know."""

    level: Level = Level.INFO
    title: str = Field(min_length=1, max_length=200, examples=["Your report is ready"])
    body: str = Field(default="", max_length=4000)
    link: Link | None = Field(default=None, description="Where a click leads.")
    data: Any = Field(default=None, description="Any JSON, for the page.")


class NotificationsRead(Body):
    """These were read, on whatever device: `ids`, and all up to `up_to` of each topic."""

    ids: list[str] = Field(examples=[["user:alice:notifications/1763650000000-0"]])
    up_to: dict[str, str] = Field(examples=[{"public:notifications": "1763650000000-0"}])


class NotificationsDeleted(Body):
    """These are not to be shown to the user any more."""

    ids: list[str]


def _kind(to: object) -> str:
    """Which of the two forms was meant, so that only its errors are told."""
    return "all" if isinstance(to, str) else "users"


_All = Annotated[Literal["all"], Tag("all")]
_Users = Annotated[list[UserId], Field(min_length=1, max_length=MAX_USERS), Tag("users")]


class NotificationBody(Notification):
    """A notification to send: to all, or to each of some users."""

    model_config = example(to=["alice"], title="Your report is ready", link="/reports/42")

    to: Annotated[_All | _Users, Discriminator(_kind)] = Field(
        examples=[["alice"], "all"], description="User ids, or `all`."
    )


class ReadBody(Body):
    """What the user has read: some by their ids, or all that a client has seen."""

    model_config = example(ids=["user:alice:notifications/1763650000000-0"])

    ids: Annotated[list[NotificationId], Field(min_length=1, max_length=MAX_IDS)] | None = None
    up_to: str | None = Field(
        default=None, description="A cursor: `seen` of a list, or the last `id:` of a stream."
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.ids is None) == (self.up_to is None):
            raise ValueError("give either ids or up_to")
        return self


class SentNotification(View):
    """Where a notification stands: its topic, and its event id there."""

    id: str = Field(examples=["1763650000000-0"])
    topic: str = Field(examples=["user:alice:notifications"])


class NotificationSent(View):
    """The notification as it was stored for each recipient, in the order given."""

    sent: list[SentNotification]


class NotificationView(View):
    """A notification: the event that a stream brings, and whether it was read."""

    id: str = Field(examples=["1763650000000-0"])
    topic: str = Field(examples=["user:alice:notifications"])
    type: Literal["notification"]
    time: str = Field(examples=["2026-11-20T12:00:00.000Z"])
    data: Notification
    read: bool


class NotificationsView(View):
    """A page, newest first; `next_cursor` is null at the end.

    `seen`, of a first page only, stands behind the newest there was: a stream that starts with
    it goes on without a hole, and as `up_to` it marks no more than that.
    """

    data: list[NotificationView]
    next_cursor: str | None
    has_more: bool
    seen: str | None


class UnreadView(View):
    """The number of unread notifications."""

    unread: int


class ChangedView(View):
    """How many were changed, and the ids that are not among the caller's notifications."""

    changed: int
    missing: list[str]
