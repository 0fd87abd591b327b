"""The common shape of features: what a feature is built from, and what it adds to the application.

Each feature package has `feature.py` with `build(settings, base) -> Feature`. Features do not
import each other: what happens in one reaches others as announcements.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from api.announcements import Announcements, Reaction
from api.events import Catalogue, Publisher, Retention, Streaming
from api.security.grants import TopicRule
from api.security.wiring import Security
from api.system import System
from api.telemetry.metrics import Metrics
from api.upstash import UpstashClient

if TYPE_CHECKING:  # a worker starts without the web framework
    from api.events import Events


@dataclass(frozen=True, slots=True)
class Base:
    """The parts that every feature may use.

    They are all built before the first feature is built.
    """

    system: System
    redis: UpstashClient
    metrics: Metrics
    security: Security
    catalogue: Catalogue
    publisher: Publisher
    streaming: Streaming
    announcements: Announcements


@dataclass(frozen=True, slots=True)
class OwnEventType:
    """An event type that a feature declares, and the patterns of the topics that may carry it.

    `model` validates the data of such events. `summary` is the line of the type in the AsyncAPI
    document; if it is empty, the first line of the model's docstring is used.
    """

    name: str
    model: type[BaseModel]
    topics: tuple[str, ...]
    summary: str = ""


async def _nothing() -> None:
    """Close nothing."""


def _as_it_is(_: dict[str, Any]) -> None:
    """Add nothing to the document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """What a feature adds to the application.

    `routes` returns its Litestar controllers; it imports the web framework only when it is called.
    `describe` changes the OpenAPI document in place, to add what Litestar cannot derive from the
    handlers. `events` are its event types. `rules` are grant rules with the topic pattern of each.
    `retention` is by topic pattern, and `reactions` are by the class of the announcement. `close`
    is awaited once when the process ends.
    """

    routes: Callable[["Events"], Sequence[type]]
    describe: Callable[[dict[str, Any]], None] = _as_it_is
    events: Sequence[OwnEventType] = ()
    rules: Sequence[tuple[str, TopicRule]] = ()
    retention: Mapping[str, Retention] = field(default_factory=dict)
    reactions: Mapping[type, Reaction] = field(default_factory=dict)
    close: Callable[[], Awaitable[None]] = _nothing
