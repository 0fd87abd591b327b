"""The data of notifications, and the request and response bodies of their routes."""

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
    """How much a notification matters to the user. It changes nothing but how pages show it."""

    INFO = "info"
    SUCCESS = "success"
    WARNING = "warning"
    ERROR = "error"


class Notification(Body):
    """A notification for a user: a title, and what a page needs to show it."""

    level: Level = Level.INFO
    title: str = Field(min_length=1, max_length=200, examples=["Your report is ready"])
    body: str = Field(default="", max_length=4000)
    link: Link | None = Field(default=None, description="Where a click leads.")
    data: Any = Field(default=None, description="Any JSON, for the page.")


class NotificationsRead(Body):
    """The user has read notifications, on some device: those in `ids`, and others by `up_to`.

    `up_to` gives for a topic the event id up to and including which everything was read.
    """

    ids: list[str] = Field(examples=[["user:alice:notifications/1763650000000-0"]])
    up_to: dict[str, str] = Field(examples=[{"public:notifications": "1763650000000-0"}])


class NotificationsDeleted(Body):
    """The user has deleted the notifications in `ids`, and pages do not show them any more."""

    ids: list[str]


def _kind(to: object) -> str:
    """Return which of the two forms was meant, so that only its errors are reported."""
    return "all" if isinstance(to, str) else "users"


_All = Annotated[Literal["all"], Tag("all")]
_Users = Annotated[list[UserId], Field(min_length=1, max_length=MAX_USERS), Tag("users")]


class NotificationBody(Notification):
    """Request body of `POST /api/notifications`: a notification, and whom it is for."""

    model_config = example(to=["alice"], title="Your report is ready", link="/reports/42")

    to: Annotated[_All | _Users, Discriminator(_kind)] = Field(
        examples=[["alice"], "all"], description="User ids, or `all`."
    )


class ReadBody(Body):
    """Request body of `POST /api/notifications/read`: what the user has read.

    Either `ids`, or `up_to` for all that a client has shown.
    """

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
    """Where a notification is stored: its topic, and its event id there."""

    id: str = Field(examples=["1763650000000-0"])
    topic: str = Field(examples=["user:alice:notifications"])


class NotificationSent(View):
    """The notifications that were stored, one for each recipient, in the order of `to`."""

    sent: list[SentNotification]


class NotificationView(View):
    """A notification: the event as a stream delivers it, and whether the user has read it."""

    id: str = Field(examples=["1763650000000-0"])
    topic: str = Field(examples=["user:alice:notifications"])
    type: Literal["notification"]
    time: str = Field(examples=["2026-11-20T12:00:00.000Z"])
    data: Notification
    read: bool


class NotificationsView(View):
    """A page of notifications, newest first. `next_cursor` asks for the next, older page.

    `next_cursor` is null on the last page. `seen` is a cursor after the newest notification of the
    moment, on a first page only and otherwise null. A stream that starts from it misses nothing,
    and as `up_to` it marks as read nothing that came later.
    """

    data: list[NotificationView]
    next_cursor: str | None
    has_more: bool
    seen: str | None


class UnreadView(View):
    """The number of the caller's unread notifications."""

    unread: int


class ChangedView(View):
    """How many notifications were changed, and which given ids are not among the caller's.

    For a cursor in `up_to` it is the number of topics in which something was changed.
    """

    changed: int
    missing: list[str]
