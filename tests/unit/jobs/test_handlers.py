"""What a type of job is, and what becomes of a request for one."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, Field

from api.jobs.model.handlers import JobContext, Registry, job
from api.problems import ValidationFailed


class Pages(BaseModel):
    count: int = Field(ge=1, alias="pageCount")


class Link(BaseModel):
    url: str


@job("report", input=Pages, result=Link, max_attempts=5, timeout_s=60)
async def report(_: JobContext, data: Pages) -> Link:
    """Write a report.

    And more.
    """
    return Link(url=f"/{data.count}")


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    registry.add(report)
    return registry


def test_an_order_keeps_the_callers_json_and_the_types_attempts(registry: Registry) -> None:
    """What was validated is what the worker validates again."""
    checked = registry.check("report", {"pageCount": 3})

    assert checked.input_json == '{"pageCount":3}'
    assert checked.max_attempts == 5


@pytest.mark.parametrize(
    ("value", "field"),
    [({"pageCount": 0}, "input.pageCount"), ({}, "input.pageCount"), ([], "input")],
)
def test_wrong_input_is_named_below_input(registry: Registry, value: object, field: str) -> None:
    """The field errors of a request point into its `input`."""
    with pytest.raises(ValidationFailed) as caught:
        registry.check("report", value)

    assert [error["field"] for error in caught.value.errors] == [field]


def test_an_unknown_type_is_named_with_those_that_there_are(registry: Registry) -> None:
    """Who misspells a type reads which ones would do."""
    with pytest.raises(ValidationFailed) as caught:
        registry.check("raport", {})

    (error,) = caught.value.errors
    assert error["field"] == "type"
    assert "report" in error["message"]


def test_a_type_is_registered_once(registry: Registry) -> None:
    """Two modules cannot both do the jobs of one type."""
    with pytest.raises(ValueError, match="twice"):
        registry.add(report)


@pytest.mark.parametrize(
    ("name", "options"),
    [("", {}), ("two words", {}), ("x", {"max_attempts": 0}), ("x", {"timeout_s": 0})],
)
def test_a_type_that_cannot_be_is_refused_when_it_is_declared(
    name: str, options: dict[str, Any]
) -> None:
    """The start stops, not the first job."""
    with pytest.raises(ValueError, match="job"):
        job(name, input=Pages, result=Link, **options)


def test_kinds_tell_the_documents_what_goes_in_and_out(registry: Registry) -> None:
    """Name, models, and the first line of the docstring."""
    (kind,) = registry.all()

    assert (kind.name, kind.input, kind.result) == ("report", Pages, Link)
    assert kind.summary == "Write a report."


async def test_a_handler_can_be_called_like_its_function(registry: Registry) -> None:
    """So that a team tests its handlers without a worker."""
    link = await report(None, Pages(pageCount=2))  # type: ignore[arg-type]  # not used

    assert link == Link(url="/2")
