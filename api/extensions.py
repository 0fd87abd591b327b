"""Loads the team's own modules, which add event types, grant rules and job handlers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from pydantic import BaseModel

from api.events import Catalogue
from api.jobs import JobHandler, NotAJobError, Registry
from api.security.grants import Access, TopicRule
from api.settings import SettingsError


@dataclass(frozen=True, slots=True)
class Extensions:
    """The argument of `extend(millrace: Extensions) -> None`, which every extension module defines.

    `extend` is called once, when the process starts, and adds to the application with the methods.
    """

    catalogue: Catalogue
    access: Access
    jobs: Registry = field(default_factory=Registry)

    def event(
        self, name: str, model: type[BaseModel], *, topics: Sequence[str], summary: str = ""
    ) -> None:
        """Declare an event type. What is published with this type is validated against `model`.

        `topics` are the patterns of the topics that it may be published to. `summary` is its line
        in the AsyncAPI document; if it is empty, the first line of the model's docstring is used.
        Raises `ValueError` if `name` is malformed, reserved or declared already.
        """
        self.catalogue.declare(name, model, topics=tuple(topics), summary=summary)

    def rule(self, pattern: str, rule: TopicRule) -> None:
        """Add a grant rule, which may allow access to the topics that match `pattern`.

        Raises `InvalidPattern` if `pattern` is malformed.
        """
        self.access.add_rule(pattern, rule)

    def job(self, handler: JobHandler[Any, Any]) -> None:
        """Register a job handler: callers can create jobs of its type, and workers run them."""
        self.jobs.add(handler)


def load(names: Sequence[str], extensions: Extensions) -> None:
    """Import the modules in `names` in this order, and call the `extend` of each with `extensions`.

    Raises `SettingsError` for a module that does not exist or has no `extend`, and for a job
    handler without its decorator. Any other exception of a module is passed on, which stops the
    start.
    """
    for name in names:
        extend = _extend_of(name)
        try:
            extend(extensions)
        except NotAJobError as error:
            raise SettingsError([f"MILLRACE_EXTENSIONS: {name}: {error}"]) from error


def _extend_of(name: str) -> Callable[[Extensions], None]:
    if name.startswith("."):
        why = f"{name} is relative to no package: write the whole name"
        raise SettingsError([f"MILLRACE_EXTENSIONS: {why}"])
    try:
        extend: Callable[[Extensions], None] | None = getattr(import_module(name), "extend", None)
    except ModuleNotFoundError as error:
        why = f"{name} cannot be imported: there is no module {error.name}; is it on PYTHONPATH?"
        raise SettingsError([f"MILLRACE_EXTENSIONS: {why}"]) from error
    if extend is None:
        raise SettingsError([f"MILLRACE_EXTENSIONS: {name} has no function `extend`"])
    return extend
