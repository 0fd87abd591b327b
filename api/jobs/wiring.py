"""The package as one object, built from the settings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from api.events import Catalogue, Draft, Hub, OpenStreams, Publisher
from api.jobs.cache import JobCache
from api.jobs.hints import Hints
from api.jobs.job import Job
from api.jobs.models import JobView
from api.jobs.queue import JobQueue
from api.jobs.registry import Registry
from api.jobs.rule import TOPICS, OwnersRead
from api.jobs.service import Jobs
from api.jobs.store import JobStore
from api.jobs.watch import JobWatch
from api.jobs.writes import EVENT_TYPE, Retention, Writes
from api.security.grants import Access
from api.settings import Settings
from api.system import System
from api.upstash import UpstashClient


@dataclass(frozen=True, slots=True)
class JobParts:
    """What handlers and workers need of this package."""

    registry: Registry
    store: JobStore
    cache: JobCache
    watch: JobWatch
    hints: Hints
    service: Jobs


def declare_events(catalogue: Catalogue) -> None:
    catalogue.declare(EVENT_TYPE, JobView, topics=(TOPICS,))


def build_jobs(
    settings: Settings,
    redis: UpstashClient,
    *,
    queue: JobQueue | None,
    publisher: Publisher,
    hub: Hub,
    streams: OpenStreams,
    access: Access,
    announce: Callable[[Job], Sequence[Draft]],
    system: System,
) -> JobParts:
    """`queue` None means that Redis is the queue."""
    hints = Hints(
        clock=system.clock, rng=system.rng, is_shedding=lambda: streams.refusal is not None
    )
    keep = Retention(
        result_s=settings.job_result_ttl_s,
        failed_s=settings.job_failed_ttl_s,
        gone_s=settings.job_gone_ttl_s,
        queue_s=settings.job_queue_ttl_s,
    )
    store = JobStore(
        redis=redis,
        writes=Writes(keep, publisher.log.retentions, hints, announce, queue is not None),
        clock=system.clock,
        new_id=system.new_id,
        tell=publisher.stored,
    )
    cache = JobCache(store, monotonic=system.monotonic)
    store.on_write = cache.put
    access.add_rule(TOPICS, OwnersRead(cache))
    registry = _registry(settings)
    return JobParts(
        registry=registry,
        store=store,
        cache=cache,
        watch=JobWatch(hub, cache, streams, system.monotonic),
        hints=hints,
        service=Jobs(
            store=store,
            cache=cache,
            kinds=registry,
            queue=queue,
            idempotency_ttl_s=settings.idempotency_ttl_s,
        ),
    )


def _registry(settings: Settings) -> Registry:
    registry = Registry()
    if settings.has_example_jobs:
        from api.jobs.examples import EXAMPLES  # noqa: PLC0415  # production starts without them

        for example in EXAMPLES:
            registry.add(example)
    return registry
