"""Everything that lives as long as the process, built once from the settings."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from api import extensions
from api.activity.feature import build as build_activity
from api.announcements import Announcements, JobFinished
from api.chat.feature import build as build_chat
from api.clock.feature import build as build_clock
from api.events import (
    Catalogue,
    Draft,
    Poller,
    Publisher,
    Retention,
    Retentions,
    Streaming,
    build_events,
)
from api.feature import Base, Feature, OwnEventType
from api.jobs.job import Job
from api.jobs.models import JobView
from api.jobs.queue import JobQueue
from api.jobs.rule import TOPICS
from api.jobs.wiring import JobParts, build_jobs
from api.jobs.writes import EVENT_TYPE
from api.notifications.feature import build as build_notifications
from api.relay.feature import build as build_relay
from api.security.wiring import Security, build_security
from api.settings import Settings
from api.system import System
from api.telemetry.meter import CommandMeter
from api.telemetry.metrics import Metrics
from api.upstash import UpstashClient

if TYPE_CHECKING:
    from api.events import Events


@dataclass(frozen=True, slots=True)
class Services:
    """The parts that the application and entry points use.

    `clients` are all connections to Redis of this process. `jobs` is what workers need beside
    the feature's routes.
    """

    settings: Settings
    system: System
    redis: UpstashClient
    metrics: Metrics
    catalogue: Catalogue
    security: Security
    publisher: Publisher
    streaming: Streaming
    poller: Poller
    features: Sequence[Feature]
    jobs: JobParts
    clients: Sequence[UpstashClient]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Renew leases meanwhile, and leave no task and no connection behind."""
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
    """Build all parts; no network is touched. Jobs go through `queue`; without one, Redis is it."""
    system = system or System.real()
    meter = CommandMeter()
    metrics = Metrics(meter)
    redis = UpstashClient(
        settings.upstash_url,
        settings.upstash_token.get_secret_value(),
        timeout_s=settings.redis_timeout_s,
        meter=meter,
        rng=system.rng,
    )
    security = build_security(settings, redis, system)
    catalogue, retentions = Catalogue(), Retentions(_usual_retention(settings))
    events = build_events(settings, redis, catalogue, retentions, metrics=metrics, system=system)
    base = Base(
        system=system,
        redis=redis,
        metrics=metrics,
        security=security,
        catalogue=catalogue,
        publisher=events.publisher,
        streaming=events.streaming,
        announcements=Announcements(),
    )
    jobs_feature, jobs = _build_jobs(settings, base, queue=queue)
    features = (
        build_activity(settings, base),
        build_notifications(settings, base),
        jobs_feature,
        build_chat(settings, base),
        build_relay(settings, base),
        build_clock(settings, base),
    )
    for feature in features:
        _add(feature, base, retentions)
    extensions.load(
        settings.extensions,
        extensions.Extensions(catalogue, security.access, jobs.registry),
    )
    metrics.observe(
        open_streams=lambda: len(events.streaming.open_streams),
        lease_failures=security.connections.failures,
    )
    return Services(
        settings=settings,
        system=system,
        redis=redis,
        metrics=metrics,
        catalogue=catalogue,
        security=security,
        publisher=events.publisher,
        streaming=events.streaming,
        poller=events.poller,
        features=features,
        jobs=jobs,
        clients=(redis, events.reader),
    )


def _usual_retention(settings: Settings) -> Retention:
    return Retention(
        max_events=settings.topic_max_events,
        ttl_s=settings.topic_ttl_s,
        idempotency_ttl_s=settings.idempotency_ttl_s,
    )


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


def _build_jobs(
    settings: Settings, base: Base, *, queue: JobQueue | None
) -> tuple[Feature, JobParts]:
    def announce(job: Job) -> Sequence[Draft]:
        return base.announcements.drafts(JobFinished(job.owner, job.id, job.type, job.status))

    jobs = build_jobs(
        settings,
        base.redis,
        queue=queue,
        publisher=base.publisher,
        hub=base.streaming.hub,
        access=base.security.access,
        announce=announce,
        streams=base.streaming.open_streams,
        system=base.system,
    )

    def routes(events: "Events") -> Sequence[type]:
        from api.jobs.routes import JobServices, job_routes  # noqa: PLC0415  # needs Litestar

        return job_routes(JobServices(jobs.service, jobs.watch, jobs.hints, events))

    def describe(document: dict[str, Any]) -> None:
        from api.jobs.openapi import describe_jobs  # noqa: PLC0415  # needs Litestar

        describe_jobs(document, jobs.registry.kinds())

    declared = [OwnEventType(EVENT_TYPE, JobView, (TOPICS,))]
    return Feature(routes=routes, describe=describe, events=declared), jobs
