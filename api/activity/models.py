"""What an activity is, and the JSON that comes in and goes out."""

from typing import Annotated, Any

from pydantic import Field

from api.payloads.links import Link
from api.payloads.models import Body, View, example

Name = Annotated[str, Field(min_length=1, max_length=200)]


class ActivityObject(Body):
    """What something was done to."""

    type: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,63}$", examples=["document"])
    id: Name = Field(examples=["42"])
    title: str | None = Field(default=None, max_length=300, description="For people.")
    link: Link | None = None


class _Action(Body):
    verb: str = Field(pattern=r"^[a-z][a-z0-9_.-]{0,63}$", examples=["commented"])
    object: ActivityObject
    details: dict[str, Any] = Field(default={}, description="Any JSON that belongs to the verb.")


class Activity(_Action):
    """Somebody has done something."""

    actor: Name = Field(description="Who did it: a user id, or the name of a program.")


class ActivityBody(_Action):
    """An action to publish. Without an `actor` it is the caller's own."""

    model_config = example(
        verb="commented", object={"type": "document", "id": "42", "title": "Budget"}
    )

    actor: Name | None = None


class ActivityView(View):
    """An entry of a feed: the same event that its stream brings."""

    id: str = Field(examples=["1763650000000-0"])
    topic: str = Field(examples=["workspace:42:activity"])
    type: str = Field(examples=["activity"], description="A team may publish types of its own.")
    time: str = Field(examples=["2026-11-20T12:00:00.000Z"])
    data: Any = Field(description="Of an `activity`, what the schema Activity says.")


class ActivityPosted(View):
    """Where the entry stands in the feed: its topic, and its event id there."""

    id: str = Field(examples=["1763650000000-0"])
    topic: str = Field(examples=["workspace:42:activity"])


class FeedView(View):
    """A page of a feed, newest first; `next_cursor` is null at the end."""

    data: list[ActivityView]
    next_cursor: str | None
    has_more: bool
