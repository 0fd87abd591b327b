"""Declared event types: what may be published where, and how."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from api.events.catalogue import Catalogue
from api.events.event import RESERVED_TYPES
from api.problems import ReservedEventType, ValidationFailed
from api.security.patterns import InvalidPattern

LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
ALLOWED = LETTERS | frozenset("0123456789_.-")


class Shipped(BaseModel):
    """An order left the house.

    More text that is not the summary.
    """

    order: int
    carrier: str = Field(default="post", alias="by")


@pytest.fixture
def catalogue() -> Catalogue:
    one = Catalogue()
    one.declare("order.shipped", Shipped, topics=("public:orders", "user:*:orders"))
    return one


def fields(error: pytest.ExceptionInfo[ValidationFailed]) -> list[str]:
    return [one["field"] for one in error.value.errors]


@given(st.text("aZ5_.-:" * 2 + " \n\r/é٣", max_size=8) | st.sampled_from(sorted(RESERVED_TYPES)))
@example("a" * 64)
@example("a" * 65)
@example("Connected")
def test_exactly_the_types_of_the_grammar_are_accepted(name: str):
    """1 to 64 letters, digits or _.- and a letter first; control events are ours."""
    allowed = 1 <= len(name) <= 64 and name[0] in LETTERS and ALLOWED.issuperset(name)
    catalogue = Catalogue()

    if name in RESERVED_TYPES:
        with pytest.raises(ReservedEventType):
            catalogue.checked("t", name, None)
    elif allowed:
        assert catalogue.checked("t", name, [1]) == [1]
    else:
        with pytest.raises(ValidationFailed) as error:
            catalogue.checked("t", name, None)
        assert fields(error) == ["type"]


@pytest.mark.parametrize("data", [None, 1, "x", [1], {"a": {"b": None}}])
def test_a_type_that_is_not_declared_is_published_as_it_is(catalogue: Catalogue, data: Any):
    """Declaring is optional."""
    assert catalogue.checked("any:topic", "other", data) is data


def test_declared_data_is_stored_as_its_model_writes_it(catalogue: Catalogue):
    """Readers see the defaults, and the names that the model has in JSON."""
    checked = catalogue.checked("user:1:orders", "order.shipped", {"order": "42", "more": 1})

    assert checked == {"order": 42, "by": "post"}


def test_wrong_data_is_refused_by_field(catalogue: Catalogue):
    """The problem names the fields without their values, which may be secret."""
    with pytest.raises(ValidationFailed) as error:
        catalogue.checked("public:orders", "order.shipped", {"order": "s3cret", "by": 1})

    assert sorted(fields(error)) == ["data.by", "data.order"]
    assert "s3cret" not in str(error.value.errors)


def test_a_declared_type_stays_on_its_topics(catalogue: Catalogue):
    """The readers of other topics need not expect it."""
    with pytest.raises(ValidationFailed) as error:
        catalogue.checked("user:1:orders:x", "order.shipped", {"order": 1})

    assert fields(error) == ["topic"]


@pytest.mark.parametrize(
    "name", ["bye", "connected", "reset", "error", "open", "", "1a", "a b", "a" * 65]
)
def test_a_bad_or_reserved_name_stops_the_start(name: str):
    """It is a developer's mistake, and must not wait for the first publish."""
    with pytest.raises(ValueError, match="cannot be an event type"):
        Catalogue().declare(name, Shipped, topics=("**",))


def test_a_name_is_declared_once(catalogue: Catalogue):
    """With two models for one type the order of imports would decide."""
    with pytest.raises(ValueError, match="declared twice"):
        catalogue.declare("order.shipped", Shipped, topics=("a",))


def test_a_bad_pattern_stops_the_start():
    """A pattern that matches nothing would refuse every event later."""
    with pytest.raises(InvalidPattern):
        Catalogue().declare("a", Shipped, topics=("a:**:b",))


def test_the_summary_is_given_or_the_first_line_of_the_model(catalogue: Catalogue):
    """The document always has some text to show."""

    class Bare(BaseModel):
        pass

    Bare.__doc__ = None
    catalogue.declare("given", Shipped, topics=("a",), summary="Said here.")
    catalogue.declare("bare", Bare, topics=("a",))

    assert [one.summary for one in catalogue] == ["An order left the house.", "Said here.", "bare"]
