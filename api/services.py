"""Builds everything that lives as long as the process, once, from the settings."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from typing import Final

from api import extensions
from api.activity.feature import build as build_activity
from api.announcements import Announcements
from api.chat.feature import build as build_chat
from api.clock.feature import build as build_clock
from api.events import Catalogue, EventParts, Poller, Retention, Retentions, build_events
from api.feature import Base, Feature
from api.jobs import JobQueue, JobsFeature, build_jobs_feature
from api.notifications.feature import build as build_notifications
from api.relay.feature import build as build_relay
from api.security.wiring import build_security
from api.settings import Settings
from api.system import System
from api.telemetry.meter import CommandMeter
from api.telemetry.metrics import Metrics
from api.upstash import UpstashClient

EXAMPLES: Final = ("api.examples",)
"""Extension modules with job types to try out, loaded if the setting `has_example_jobs` is true."""


@dataclass(frozen=True, slots=True)
class Services(Base):
    """The parts of a process: what features use, and what entry points use besides.

    `clients` are all connections of this process to Redis, which `running` closes. `jobs` is one of
    `features`; it has a field of its own because workers use more of it than its routes.
    """

    settings: Settings
    poller: Poller
    features: Sequence[Feature]
    jobs: JobsFeature
    clients: Sequence[UpstashClient]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Renew the leases of open streams during the `async with` block.

        At its end, stop renewing, close all features and the poller, and then the connections to
        Redis.
        """
        renewing = asyncio.create_task(self.security.connections.run())
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.wait([renewing])
            for feature in self.features:
                await feature.close()
            await self.poller.close()
            for client in self.clients:
                await client.close()


def build_services(
    settings: Settings, *, queue: JobQueue | None = None, system: System | None = None
) -> Services:
    """Build all parts of a process, load the extensions, and return the parts.

    No network is touched.

    `queue` brings jobs to workers; None uses a queue in Redis. `system` provides time, randomness
    and ids; None uses the real ones.
    """
    base, retentions, events = _base(settings, system or System.real())
    jobs = build_jobs_feature(settings, base, queue=queue)
    features = (
        build_activity(settings, base),
        build_notifications(settings, base),
        jobs,
        build_chat(settings, base),
        build_relay(settings, base),
        build_clock(settings, base),
    )
    for feature in features:
        _add(feature, base, retentions)
    extensions.load(
        (*EXAMPLES, *settings.extensions) if settings.has_example_jobs else settings.extensions,
        extensions.Extensions(base.catalogue, base.security.access, jobs.registry),
    )
    base.metrics.observe(
        open_streams=lambda: len(base.streaming.open_streams),
        lease_failures=base.security.connections.failures,
    )
    return Services(
        **{part.name: getattr(base, part.name) for part in fields(base)},
        settings=settings,
        poller=events.poller,
        features=features,
        jobs=jobs,
        clients=(base.redis, events.reader),
    )


def _base(settings: Settings, system: System) -> tuple[Base, Retentions, EventParts]:
    meter = CommandMeter()
    metrics = Metrics(meter)
    redis = UpstashClient(
        settings.upstash_url,
        settings.upstash_token.get_secret_value(),
        timeout_s=settings.redis_timeout_s,
        meter=meter,
        rng=system.rng,
    )
    usual = Retention(
        max_events=settings.topic_max_events,
        ttl_s=settings.topic_ttl_s,
        idempotency_ttl_s=settings.idempotency_ttl_s,
    )
    catalogue, retentions = Catalogue(), Retentions(usual)
    events = build_events(settings, redis, catalogue, retentions, metrics=metrics, system=system)
    base = Base(
        system=system,
        redis=redis,
        metrics=metrics,
        security=build_security(settings, redis, system),
        catalogue=catalogue,
        publisher=events.publisher,
        streaming=events.streaming,
        announcements=Announcements(),
    )
    return base, retentions, events


def _add(feature: Feature, base: Base, retentions: Retentions) -> None:
    """Register what a feature brings beside its routes."""
    for kind in feature.events:
        base.catalogue.declare(kind.name, kind.model, topics=kind.topics, summary=kind.summary)
    for pattern, rule in feature.rules:
        base.security.access.add_rule(pattern, rule)
    for pattern, retention in feature.retention.items():
        retentions.add(pattern, retention)
    for announced, reaction in feature.reactions.items():
        base.announcements.add(announced, reaction)
