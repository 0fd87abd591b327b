"""Where a team's own modules come in: event types, grants and job handlers."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from pydantic import BaseModel

from api.events.catalogue import Catalogue
from api.jobs.registry import JobHandler, NotAJobError, Registry
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
    """Import the modules and let each `extend`. Raises what they raise: the start must stop.

    Raises `SettingsError` for a job handler that lacks its decorator.
    """
    for name in names:
        extend = getattr(import_module(name), "extend", None)
        if extend is None:
            raise TypeError(f"extension module {name} has no function `extend`")
        try:
            extend(extensions)
        except NotAJobError as error:
            raise SettingsError([f"MILLRACE_EXTENSIONS: {name}: {error}"]) from error
