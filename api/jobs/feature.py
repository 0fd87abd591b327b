"""Builds the feature of jobs from the settings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from api.announcements import JobFinished
from api.events import Draft
from api.feature import Base, Feature, OwnEventType
from api.jobs.callers.read_rule import TOPICS, OwnersRead
from api.jobs.callers.service import Jobs
from api.jobs.callers.watch import JobWatch
from api.jobs.model.handlers import Registry
from api.jobs.model.job import Job
from api.jobs.model.queue import JobQueue
from api.jobs.model.view import JobView, PollHints
from api.jobs.store.cache import JobCache
from api.jobs.store.store import JobChanges, JobStore
from api.jobs.store.writes import EVENT_TYPE, JobLifetimes, Writes
from api.settings import Settings

if TYPE_CHECKING:
    from api.events import Events
    from api.jobs.work.job_workers import JobWorkers


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsFeature(Feature):
    """The feature of jobs, with the parts of it that other code needs.

    Extensions add their handlers to `registry`. `workers` builds the parts that do jobs, and starts
    none of them; a process that does jobs calls it once.
    """

    registry: Registry
    store: JobStore
    service: Jobs
    workers: Callable[[], "JobWorkers"]


def build(settings: Settings, base: Base, *, queue: JobQueue | None) -> JobsFeature:
    """Build the feature of jobs; nothing is started, and the workers are not built yet.

    `queue` is a queue outside of Redis, such as SQS; None means that Redis is the queue.
    """
    streams = base.streaming.open_streams
    hints = PollHints(
        clock=base.system.clock,
        rng=base.system.rng,
        is_shedding=lambda: streams.refusal is not None,
    )
    store = _store(settings, base, hints, queue)
    cache = JobCache(store, store.changes, monotonic=base.system.monotonic)
    registry = Registry()
    service = Jobs(store, cache, registry, queue, settings.idempotency_ttl_s)
    watch = JobWatch(base.streaming.hub, cache, streams, base.system.monotonic)

    def routes(events: "Events") -> Sequence[Any]:
        from api.jobs.http.routes import job_routes  # noqa: PLC0415  # workers do without Litestar

        return job_routes(service, watch, hints, events)

    def workers() -> "JobWorkers":
        from api.jobs.work.job_workers import build_job_workers  # noqa: PLC0415  # most do none

        return build_job_workers(settings, base, registry, store, queue)

    def describe(document: dict[str, Any]) -> None:
        from api.jobs.http.openapi import describe_jobs  # noqa: PLC0415  # as above

        describe_jobs(document, registry.all())

    return JobsFeature(
        routes=routes,
        describe=describe,
        events=(OwnEventType(EVENT_TYPE, JobView, (TOPICS,)),),
        rules=((TOPICS, OwnersRead(cache)),),
        registry=registry,
        store=store,
        service=service,
        workers=workers,
    )


def _store(settings: Settings, base: Base, hints: PollHints, queue: JobQueue | None) -> JobStore:
    lifetimes = JobLifetimes(
        result_s=settings.job_result_ttl_s,
        failed_s=settings.job_failed_ttl_s,
        gone_s=settings.job_gone_ttl_s,
        queue_s=settings.job_queue_ttl_s,
    )

    def announce(job: Job) -> Sequence[Draft]:
        finished = JobFinished(job.owner, job.id, job.type, job.status)
        return base.announcements.drafts(finished)

    retentions = base.publisher.log.retentions
    return JobStore(
        redis=base.redis,
        writes=Writes(lifetimes, retentions, hints, announce, queue is not None),
        clock=base.system.clock,
        new_id=base.system.new_id,
        changes=JobChanges(base.publisher.stored),
    )
