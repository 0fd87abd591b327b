"""The working side of the package, built from the settings."""

from dataclasses import dataclass

from api.events import Pace
from api.jobs.attempt import Rhythm
from api.jobs.job import Job
from api.jobs.queue import JobQueue
from api.jobs.redis_queue import RedisQueue
from api.jobs.runner import Bounds, JobRunner
from api.jobs.sweep import Sweep
from api.jobs.verdict import Backoff
from api.jobs.wiring import JobParts
from api.jobs.worker import Worker
from api.settings import Settings
from api.system import System
from api.telemetry.metrics import Metrics
from api.upstash import UpstashClient


@dataclass(frozen=True, slots=True)
class Workshop:
    """Who does jobs here, if the process starts its `worker` or gives the `runner` deliveries.

    The worker runs the `sweep` by itself; it is None where Redis is the queue.
    """

    queue: JobQueue
    runner: JobRunner
    worker: Worker
    sweep: Sweep | None


def build_workshop(
    settings: Settings,
    redis: UpstashClient,
    parts: JobParts,
    queue: JobQueue | None,
    *,
    metrics: Metrics,
    system: System,
) -> Workshop:
    """`queue` None means that Redis is the queue, and that there is nothing to sweep."""
    sweep = None if queue is None else Sweep(parts.store, queue)
    if queue is None:
        queue = RedisQueue(
            redis,
            lease_s=settings.job_lease_s,
            pace=Pace(
                shortest_s=settings.poll_min_ms / 1000,
                longest_s=settings.job_poll_idle_ms / 1000,
                longest_with_doorbell_s=settings.job_poll_idle_ms / 1000,
            ),
            clock=system.clock,
            monotonic=system.monotonic,
            rng=system.rng,
            new_id=system.new_id,
        )
        parts.service.on_enqueued = queue.wake
    runner = JobRunner(
        store=parts.store,
        queue=queue,
        registry=parts.registry,
        rhythm=Rhythm(settings.job_lease_s, settings.job_heartbeat_s),
        bounds=Bounds(settings.job_result_max_bytes, settings.job_max_receives),
        backoff=Backoff(settings.job_backoff_s, system.rng.random),
        clock=system.clock,
        monotonic=system.monotonic,
        rng=system.rng,
        new_id=system.new_id,
        count=lambda kind: metrics.deliveries.labels(kind).inc(),
    )

    def wrote(job: Job) -> None:
        parts.cache.put(job)
        runner.saw(job)

    parts.store.on_write = wrote
    worker = Worker(queue, runner, slots=settings.job_workers, rng=system.rng, sweep=sweep)
    return Workshop(queue, runner, worker, sweep)
