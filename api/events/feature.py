"""Builds the parts of this package from the settings and connects them.

A process has one log, one poller that reads it, one hub that hands out the events, and one
publisher.
"""

from dataclasses import dataclass
from functools import partial

from api.events.catalogue import Catalogue
from api.events.live.doorbell import Doorbell, wake_up_commands
from api.events.live.hub import Hub
from api.events.live.poller import Pace, Poller
from api.events.log.retention import Retentions
from api.events.log.topic_log import TopicLog
from api.events.publisher import Publisher
from api.events.stream.open_streams import OpenStreams
from api.events.stream.session import Streaming
from api.settings import Settings
from api.system import System
from api.telemetry.metrics import Metrics
from api.upstash import UpstashClient


@dataclass(frozen=True, slots=True)
class EventParts:
    """The parts of this package that features and entry points use.

    `reader` is the client of Redis that only the poller uses. It must be closed at the end too.
    """

    publisher: Publisher
    streaming: Streaming
    poller: Poller
    reader: UpstashClient


def build_events(
    settings: Settings,
    redis: UpstashClient,
    catalogue: Catalogue,
    retentions: Retentions,
    *,
    metrics: Metrics,
    system: System,
) -> EventParts:
    """Build the parts and connect them to each other. No network is touched.

    `redis` is the client for everything but the poller, which gets a client of its own from it.
    `retentions` says how much each topic keeps.
    """
    reader = redis.sibling()  # many commands at once must not hold up the poller
    log = TopicLog(redis, retentions, system.monotonic)
    reader_log = TopicLog(reader, retentions, system.monotonic)
    hub = Hub(
        log,
        poller=partial(_poller, reader_log, settings, metrics, system),
        lag_max_bytes=settings.lag_max_bytes,
        metrics=metrics,
        monotonic=system.monotonic,
    )
    publisher = Publisher(
        log,
        catalogue,
        metrics,
        max_event_bytes=settings.max_event_bytes,
        wake=hub.wake,
        wake_up_commands=wake_up_commands if settings.doorbell else lambda _: [],
    )
    streaming = Streaming(
        hub=hub,
        log=log,
        open_streams=OpenStreams(
            keep_alive_s=settings.keep_alive_s, max_streams=settings.max_streams
        ),
        metrics=metrics,
        retry_ms=settings.retry_ms,
        clock=system.clock,
        rng=system.rng,
    )
    return EventParts(publisher, streaming, hub.poller, reader)


def _poller(
    topic_log: TopicLog, settings: Settings, metrics: Metrics, system: System, hub: Hub
) -> Poller:
    return Poller(
        hub,
        topic_log,
        pace=Pace(
            shortest_s=settings.poll_min_ms / 1000,
            longest_s=settings.poll_idle_ms / 1000,
            longest_with_doorbell_s=settings.doorbell_poll_s,
        ),
        doorbell=Doorbell(topic_log.client, rng=system.rng) if settings.doorbell else None,
        metrics=metrics,
        clock=system.clock,
        monotonic=system.monotonic,
        rng=system.rng,
    )
