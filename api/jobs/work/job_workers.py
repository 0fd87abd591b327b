"""Builds what does jobs in one process, from the settings."""

from dataclasses import dataclass

from api.events import Pace
from api.feature import Base
from api.jobs.model.handlers import Registry
from api.jobs.model.queue import JobQueue
from api.jobs.store.store import JobStore
from api.jobs.work.attempt import LeaseTiming
from api.jobs.work.attempt_end import Backoff
from api.jobs.work.redis_queue import RedisQueue
from api.jobs.work.runner import JobLimits, JobRunner
from api.jobs.work.sweep import Sweep
from api.jobs.work.worker import Worker
from api.settings import Settings


@dataclass(frozen=True, slots=True)
class JobWorkers:
    """What does jobs in one process. Nothing happens until `worker` or `runner` is used.

    `worker`, once started, takes deliveries from `queue` by itself; `runner` makes an attempt for
    each delivery that it is given. `sweep` is None where Redis is the queue, because then no job is
    left unsent; otherwise the worker runs it too.
    """

    queue: JobQueue
    runner: JobRunner
    worker: Worker
    sweep: Sweep | None


def build_job_workers(
    settings: Settings, base: Base, registry: Registry, store: JobStore, queue: JobQueue | None
) -> JobWorkers:
    """Build the parts; nothing is started. `queue` None means that Redis is the queue."""
    system = base.system
    sweep = None if queue is None else Sweep(store, queue)
    queue = queue or _redis_queue(settings, base, store)
    runner = JobRunner(
        store=store,
        changes=store.changes,
        queue=queue,
        registry=registry,
        timing=LeaseTiming(settings.job_lease_s, settings.job_heartbeat_s),
        limits=JobLimits(settings.job_result_max_bytes, settings.job_max_receives),
        backoff=Backoff(settings.job_backoff_s, system.rng.random),
        clock=system.clock,
        monotonic=system.monotonic,
        rng=system.rng,
        new_id=system.new_id,
        count=lambda end: base.metrics.deliveries.labels(end).inc(),
    )
    worker = Worker(queue, runner, slots=settings.job_workers, rng=system.rng, sweep=sweep)
    return JobWorkers(queue, runner, worker, sweep)


def _redis_queue(settings: Settings, base: Base, store: JobStore) -> RedisQueue:
    system = base.system
    return RedisQueue(
        base.redis,
        lease_s=settings.job_lease_s,
        pace=Pace(
            shortest_s=settings.poll_min_ms / 1000,
            longest_s=settings.job_poll_idle_ms / 1000,
            longest_with_doorbell_s=settings.job_poll_idle_ms / 1000,
        ),
        awake=store.changes.queued,
        clock=system.clock,
        monotonic=system.monotonic,
        rng=system.rng,
        new_id=system.new_id,
    )
