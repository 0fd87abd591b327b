"""Builds the relay, which passes on the streams of other servers, from the settings."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from api.events import TopicName
from api.feature import Base, Feature
from api.relay.reader import SourceReader, Tools
from api.relay.service import Relay, RelayRule, relay_topic
from api.relay.store import SourceStore
from api.relay.upstream import Upstream
from api.settings import Settings

if TYPE_CHECKING:
    from api.events import Events


def build(settings: Settings, base: Base) -> Feature:
    """Build the relay; no upstream is read before somebody here reads its topic."""
    sources, system = settings.relay_sources, base.system
    tools = Tools(base.publisher, settings.relay_lease_s, system.clock, system.rng)

    def read(name: str) -> SourceReader:
        source = sources[name]
        return SourceReader(
            name,
            Upstream(source, https_only=not settings.is_local),
            SourceStore(base.publisher.log, TopicName(relay_topic(name)), holder=system.new_id()),
            tools,
            unique_ids=source.unique_ids,
        )

    relay = Relay(sources, read)

    def routes(events: "Events") -> Sequence[type]:
        from api.relay.routes import relay_routes  # noqa: PLC0415  # workers need no Litestar

        return relay_routes(relay, events)

    rules = [(relay_topic("*"), RelayRule(sources))]
    return Feature(routes=routes, rules=rules, close=relay.close)
