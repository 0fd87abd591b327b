"""The one shape of a feature: what it is built on, and what it brings to the application.

Each feature package has `feature.py` with `build(settings, base) -> Feature`. Features do not
import each other: what one does reaches others by `announcements`.
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
    """What every feature may use. It is complete before the first feature is built."""

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
    """An event type of a feature, and the topic patterns that it may be published to.

    `summary` is its line in the AsyncAPI document; without one, the model's own first line.
    """

    name: str
    model: type[BaseModel]
    topics: tuple[str, ...]
    summary: str = ""


async def _nothing() -> None:
    """Close nothing."""


def _no_routes(_: "Events") -> Sequence[type]:
    return ()


def _as_it_is(_: dict[str, Any]) -> None:
    """Add nothing to the document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """What a feature brings.

    `routes` gives its controllers; it imports the web framework only when it is called.
    `describe` adds to the OpenAPI document what the framework cannot read off them. `rules` and
    `retention` are by topic pattern, `reactions` by the type of announcement. `close` is awaited
    when the process ends.
    """

    routes: Callable[["Events"], Sequence[type]] = _no_routes
    describe: Callable[[dict[str, Any]], None] = _as_it_is
    events: Sequence[OwnEventType] = ()
    rules: Sequence[tuple[str, TopicRule]] = ()
    retention: Mapping[str, Retention] = field(default_factory=dict)
    reactions: Mapping[type, Reaction] = field(default_factory=dict)
    close: Callable[[], Awaitable[None]] = _nothing
