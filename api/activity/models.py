"""The data of activities, and the request and response bodies of their routes."""

from typing import Annotated, Any

from pydantic import Field

from api.payloads.links import Link
from api.payloads.models import Body, View, example

Name = Annotated[str, Field(min_length=1, max_length=200)]


class ActivityObject(Body):
    """The thing that an activity is about, such as a document."""

    type: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,63}$", examples=["document"])
    id: Name = Field(examples=["42"])
    title: str | None = Field(default=None, max_length=300, description="For people.")
    link: Link | None = None


class _Action(Body):
    verb: str = Field(pattern=r"^[a-z][a-z0-9_.-]{0,63}$", examples=["commented"])
    object: ActivityObject
    details: dict[str, Any] = Field(default={}, description="Any JSON that belongs to the verb.")


class Activity(_Action):
    """Somebody did something: who, what was done, and to which object."""

    actor: Name = Field(description="Who did it: a user id, or the name of a program.")


class ActivityBody(_Action):
    """Request body of `POST /api/activity/{feed}`: the activity to add.

    Without an `actor` it is in the caller's name.
    """

    model_config = example(
        verb="commented", object={"type": "document", "id": "42", "title": "Budget"}
    )

    actor: Name | None = None


class ActivityView(View):
    """An entry of a feed: the event as a stream delivers it."""

    id: str = Field(examples=["1763650000000-0"])
    topic: str = Field(examples=["workspace:42:activity"])
    type: str = Field(examples=["activity"], description="A team may publish types of its own.")
    time: str = Field(examples=["2026-11-20T12:00:00.000Z"])
    data: Any = Field(description="Of an `activity`, what the schema Activity says.")


class ActivityPosted(View):
    """Where the new entry is stored: its topic, and its event id there."""

    id: str = Field(examples=["1763650000000-0"])
    topic: str = Field(examples=["workspace:42:activity"])


class FeedView(View):
    """A page of a feed, newest entry first. `next_cursor` asks for the next, older page.

    `next_cursor` is null on the last page.
    """

    data: list[ActivityView]
    next_cursor: str | None
    has_more: bool
