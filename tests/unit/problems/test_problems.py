"""The tree of problems: every kind is complete, and none of them quotes what it refuses."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

import functions.connection  # noqa: F401  # these two load everything that has problems of its own
from api.problem_json import outline, render
from api.problems import (
    MAX_ERRORS,
    MAX_FIELD_CHARS,
    ApiError,
    BadRequest,
    ValidationFailed,
    field_errors,
)
from api.telemetry.health import NotReady


def kinds_below(kind: type[ApiError]) -> Iterator[type[ApiError]]:
    """All of the application; other tests make some of their own."""
    if kind.__module__.startswith(("api.", "functions.")):
        yield kind
    for one in kind.__subclasses__():
        yield from kinds_below(one)


KINDS = sorted(kinds_below(ApiError), key=lambda kind: kind.code)


class Address(BaseModel):
    city: str


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")

    number: int
    addresses: list[Address]


def offences(value: object) -> list[dict[str, str]]:
    with pytest.raises(ValidationError) as caught:
        Order.model_validate(value)
    return field_errors(caught.value, within="data")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code)
def test_every_kind_says_what_to_do(kind: type[ApiError]) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", kind.code)
    assert 400 <= kind.status < 600
    assert kind.remediation.endswith(".")
    assert not kind.title.endswith(".")


def test_every_kind_has_a_code_of_its_own() -> None:
    assert len({kind.code for kind in KINDS}) == len(KINDS)


def test_a_problem_is_the_outline_and_what_happened() -> None:
    error = BadRequest("No.", errors=[{"field": "topic", "message": "missing"}])

    assert render(error, ref="request-1") == {
        **outline(BadRequest),
        "detail": "No.",
        "errors": [{"field": "topic", "message": "missing"}],
        "ref": "request-1",
    }
    assert render(ValidationFailed()) == outline(ValidationFailed)


def test_what_is_not_ready_is_named() -> None:
    error = NotReady(parts=["redis"])

    assert error.errors == [{"field": "redis", "message": "does not answer"}]
    assert error.headers["Retry-After"]


def test_fields_are_named_by_dotted_path() -> None:
    found = offences({"number": "x", "addresses": [{"city": 1}], "more": 1})

    assert [one["field"] for one in found] == ["data.number", "data.addresses.0.city", "data.more"]


def test_a_value_that_is_no_object_is_the_body_itself() -> None:
    with pytest.raises(ValidationError) as caught:
        Order.model_validate(["secret"])

    assert field_errors(caught.value) == [
        {"field": "body", "message": "Input should be a JSON object"}
    ]


def test_errors_are_bounded_and_quote_no_values() -> None:
    found = offences({"x" * 10_000 + str(n): "secret" for n in range(100)})

    assert len(found) == MAX_ERRORS
    assert max(len(one["field"]) for one in found) <= MAX_FIELD_CHARS
    assert "secret" not in str(found)
