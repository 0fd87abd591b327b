"""Everything that lives as long as the process, built once from the settings."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, NamedTuple

from api import extensions
from api.activity import feeds
from api.activity.fan_in import job_finished, message_posted
from api.chat.chat import Chat, Feeds, Parts, build_chat
from api.chat.inbound import ChatMessage
from api.chat.mentions import Mention
from api.events import doorbell
from api.events.catalogue import Catalogue
from api.events.doorbell import Doorbell
from api.events.held import StreamDesk
from api.events.hub import Hub
from api.events.log import TopicLog
from api.events.poller import Pace, Poller
from api.events.publisher import Draft, Publisher
from api.events.retention import Retention, Retentions
from api.events.streams import OpenStreams
from api.jobs import wiring as jobs_wiring
from api.jobs.job import Job
from api.jobs.queue import JobQueue
from api.jobs.wiring import JobParts, build_jobs
from api.notifications import topics
from api.relay.reader import Tools
from api.relay.service import Relay, build_relay
from api.security.wiring import Security, build_security
from api.settings import Settings
from api.telemetry.meter import CommandMeter
from api.telemetry.metrics import Metrics
from api.upstash import UpstashClient
from api.world import World

MENTION_CHARS: Final = 500
DECLARING: Final = (
    feeds.declare_events,
    topics.declare_events,
    jobs_wiring.declare_events,
)


@dataclass(frozen=True, slots=True)
class Services:
    """The parts that handlers and entry points use."""

    settings: Settings
    world: World
    redis: UpstashClient
    metrics: Metrics
    catalogue: Catalogue
    security: Security
    publisher: Publisher
    desk: StreamDesk
    poller: Poller
    jobs: JobParts
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


class _Events(NamedTuple):
    catalogue: Catalogue
    publisher: Publisher
    desk: StreamDesk
    poller: Poller
    reading: UpstashClient


def build_services(
    settings: Settings, *, queue: JobQueue | None = None, world: World | None = None
) -> Services:
    """Build all parts; no network is touched. Jobs go through `queue`; without one, Redis is it."""
    world = world or World.real()
    meter = CommandMeter()
    metrics = Metrics(meter)
    commands = UpstashClient(
        settings.upstash_url,
        settings.upstash_token.get_secret_value(),
        timeout_s=settings.redis_timeout_s,
        meter=meter,
        rng=world.rng,
    )
    security = build_security(settings, commands, world)
    events = _events(settings, commands, metrics, world)
    jobs = build_jobs(
        settings,
        commands,
        queue=queue,
        publisher=events.publisher,
        hub=events.desk.hub,
        access=security.access,
        announce=_job_news,
        streams=events.desk.streams,
        world=world,
    )
    chat = build_chat(
        settings,
        Parts(
            redis=commands,
            publisher=events.publisher,
            catalogue=events.catalogue,
            access=security.access,
            rate=security.publish_rate,
            world=world,
        ),
        feeds=Feeds(_posted, feeds.WORKSPACES) if settings.chat_activity else None,
        notify=_mentioned,
    )
    tools = Tools(events.publisher, settings.relay_lease_s, world.clock, world.rng)
    relay = build_relay(settings, tools, security.access, new_id=world.new_id)
    extensions.load(
        settings.extensions,
        extensions.Extensions(events.catalogue, security.access, jobs.registry),
    )
    metrics.observe(
        open_streams=lambda: len(events.desk.streams), lease_failures=security.connections.failures
    )
    return Services(
        settings=settings,
        world=world,
        redis=commands,
        metrics=metrics,
        catalogue=events.catalogue,
        security=security,
        publisher=events.publisher,
        desk=events.desk,
        poller=events.poller,
        jobs=jobs,
        chat=chat,
        relay=relay,
        clients=(commands, events.reading),
    )


def _events(settings: Settings, commands: UpstashClient, metrics: Metrics, world: World) -> _Events:
    """The heart: a log that is written here, read by one poller, and handed out by one hub."""
    reading = commands.sibling()  # no storm of commands may hold up the poller
    retentions = _retentions(settings)
    log = TopicLog(commands, retentions, world.monotonic)
    hub = Hub(log, lag_max_bytes=settings.lag_max_bytes, metrics=metrics, monotonic=world.monotonic)
    poller = Poller(
        TopicLog(reading, retentions, world.monotonic),
        hub,
        pace=Pace(
            shortest_s=settings.poll_min_ms / 1000,
            longest_s=settings.poll_idle_ms / 1000,
            longest_rung_s=settings.doorbell_poll_s,
        ),
        doorbell=Doorbell(reading, rng=world.rng) if settings.doorbell else None,
        metrics=metrics,
        clock=world.clock,
        monotonic=world.monotonic,
        rng=world.rng,
    )
    hub.on_demand = poller.wake
    catalogue = _catalogue()
    publisher = Publisher(
        log,
        catalogue,
        metrics,
        max_event_bytes=settings.max_event_bytes,
        wake=hub.wake,
        rings=doorbell.rings if settings.doorbell else lambda _: [],
    )
    desk = StreamDesk(
        hub=hub,
        log=log,
        streams=OpenStreams(keep_alive_s=settings.keep_alive_s, max_streams=settings.max_streams),
        metrics=metrics,
        retry_ms=settings.retry_ms,
        clock=world.clock,
        rng=world.rng,
    )
    return _Events(catalogue, publisher, desk, poller, reading)


def _catalogue() -> Catalogue:
    """The event types of all features; extensions add theirs."""
    catalogue = Catalogue()
    for declare_events in DECLARING:
        declare_events(catalogue)
    return catalogue


def _job_news(job: Job) -> Sequence[Draft]:
    """What a job that is done brings into its owner's feed."""
    return [job_finished(job.owner, job.id, job.type, job.status)]


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
