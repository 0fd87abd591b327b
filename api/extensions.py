"""What a team's own modules add: event types, grants and job handlers."""

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
    """What an extension module gets: `def extend(millrace: Extensions) -> None`."""

    catalogue: Catalogue
    access: Access
    jobs: Registry = field(default_factory=Registry)

    def event(
        self, name: str, model: type[BaseModel], *, topics: Sequence[str], summary: str = ""
    ) -> None:
        """Declare an event type; publishing it validates its data against `model`."""
        self.catalogue.declare(name, model, topics=tuple(topics), summary=summary)

    def rule(self, pattern: str, rule: TopicRule) -> None:
        """Let `rule` grant reading or publishing on topics of `pattern`."""
        self.access.add_rule(pattern, rule)

    def job(self, handler: JobHandler[Any, Any]) -> None:
        """Have jobs of this type accepted and done."""
        self.jobs.add(handler)


def load(names: Sequence[str], extensions: Extensions) -> None:
    """Import the modules and let each `extend`.

    Raises `SettingsError` for a module that is not there or has no `extend`, and for a job handler
    without its decorator. Whatever else a module raises is passed on, so that the start stops.
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
