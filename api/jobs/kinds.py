"""What the service needs to know of the types of job that there are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class JobKind:
    """One type of job, for the documents: its name, and the models of what goes in and out."""

    name: str
    summary: str
    input: type[BaseModel]
    result: type[BaseModel]


@dataclass(frozen=True, slots=True)
class Order:
    """A request for a job whose input is right: the JSON to store, and the attempts to make."""

    input_json: str
    max_attempts: int


class JobKinds(Protocol):
    """The types of job that this process knows."""

    def kinds(self) -> Sequence[JobKind]:
        """All of them, by name."""

    def order(self, type_: str, value: Any) -> Order:
        """Check a request. Raises `ValidationFailed`: `type`, or fields below `input`."""
