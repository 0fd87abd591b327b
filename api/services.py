"""Everything that lives as long as the process, built once from the settings."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from api import extensions
from api.activity import feeds
from api.activity.fan_in import job_finished, message_posted
from api.announcements import Announcements, JobFinished
from api.chat.chat import Chat, Feeds, Parts, build_chat
from api.chat.inbound import ChatMessage
from api.chat.mentions import Mention
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
from api.feature import Base
from api.jobs import JobQueue, JobsFeature, build_jobs_feature
from api.notifications import topics
from api.relay.reader import Tools
from api.relay.service import Relay, build_relay
from api.security.wiring import Security, build_security
from api.settings import Settings
from api.system import System
from api.telemetry.meter import CommandMeter
from api.telemetry.metrics import Metrics
from api.upstash import UpstashClient

MENTION_CHARS: Final = 500
EXAMPLES: Final = ("api.examples",)
DECLARING: Final = (
    feeds.declare_events,
    topics.declare_events,
)


@dataclass(frozen=True, slots=True)
class Services:
    """The parts that handlers and entry points use."""

    settings: Settings
    system: System
    redis: UpstashClient
    metrics: Metrics
    catalogue: Catalogue
    security: Security
    publisher: Publisher
    streaming: Streaming
    poller: Poller
    jobs: JobsFeature
    chat: Chat
    relay: Relay
    clients: tuple[UpstashClient, ...]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Renew leases meanwhile, and leave no task and no connection behind."""
        renewing = asyncio.create_task(self.security.connections.run())
        try:
            yield
        finally:
            renewing.cancel()
            await asyncio.wait([renewing])
            await self.relay.close()
            await self.poller.close()
            await self.chat.close()
            for client in self.clients:
                await client.close()


def build_services(
    settings: Settings, *, queue: JobQueue | None = None, system: System | None = None
) -> Services:
    """Build all parts; no network is touched. Jobs go through `queue`; without one, Redis is it."""
    system = system or System.real()
    meter = CommandMeter()
    metrics = Metrics(meter)
    commands = UpstashClient(
        settings.upstash_url,
        settings.upstash_token.get_secret_value(),
        timeout_s=settings.redis_timeout_s,
        meter=meter,
        rng=system.rng,
    )
    security = build_security(settings, commands, system)
    catalogue = _catalogue()
    events = build_events(
        settings, commands, catalogue, _retentions(settings), metrics=metrics, system=system
    )
    announcements = Announcements()
    announcements.add(JobFinished, _job_news)
    base = Base(
        system=system,
        redis=commands,
        metrics=metrics,
        security=security,
        catalogue=catalogue,
        publisher=events.publisher,
        streaming=events.streaming,
        announcements=announcements,
    )
    jobs = build_jobs_feature(settings, base, queue=queue)
    for own in jobs.events:
        catalogue.declare(own.name, own.model, topics=own.topics)
    for pattern, rule in jobs.rules:
        security.access.add_rule(pattern, rule)
    chat = build_chat(
        settings,
        Parts(
            redis=commands,
            publisher=events.publisher,
            catalogue=catalogue,
            access=security.access,
            rate=security.publish_rate,
            system=system,
        ),
        feeds=Feeds(_posted, feeds.WORKSPACES) if settings.chat_activity else None,
        notify=_mentioned,
    )
    tools = Tools(events.publisher, settings.relay_lease_s, system.clock, system.rng)
    relay = build_relay(settings, tools, security.access, new_id=system.new_id)
    extensions.load(
        (*EXAMPLES, *settings.extensions) if settings.has_example_jobs else settings.extensions,
        extensions.Extensions(catalogue, security.access, jobs.registry),
    )
    metrics.observe(
        open_streams=lambda: len(events.streaming.open_streams),
        lease_failures=security.connections.failures,
    )
    return Services(
        settings=settings,
        system=system,
        redis=commands,
        metrics=metrics,
        catalogue=catalogue,
        security=security,
        publisher=events.publisher,
        streaming=events.streaming,
        poller=events.poller,
        jobs=jobs,
        chat=chat,
        relay=relay,
        clients=(commands, events.reader),
    )


def _catalogue() -> Catalogue:
    """The event types of all features; extensions add theirs."""
    catalogue = Catalogue()
    for declare_events in DECLARING:
        declare_events(catalogue)
    return catalogue


def _job_news(job: JobFinished) -> Sequence[Draft]:
    """What a job that is done brings into its owner's feed."""
    return [job_finished(job.owner, job.job_id, job.kind, job.status)]


def _retentions(settings: Settings) -> Retentions:
    """What topics keep; features have their own."""
    usual = Retention(
        max_events=settings.topic_max_events,
        ttl_s=settings.topic_ttl_s,
        idempotency_ttl_s=settings.idempotency_ttl_s,
    )
    return Retentions(usual, {**feeds.retentions(settings), **topics.retentions(settings)})


def _posted(message: ChatMessage) -> list[Draft]:
    """What a chat message is in the activity feed of the workspace of its room's name."""
    if message.client_id is None:
        return []
    return [message_posted(message.room, message.client_id, message.id)]


def _mentioned(mention: Mention) -> list[Draft]:
    """Whoever is named in a room's message is notified, wherever that user is."""
    message = mention.message
    notification = {
        "title": f"{message.client_id or 'Somebody'} mentioned you in {message.room}",
        "body": message.text[:MENTION_CHARS],
        "data": {"room": message.room, "message": message.id},
    }
    return [Draft(topics.personal(mention.user), topics.NOTIFICATION, notification)]
