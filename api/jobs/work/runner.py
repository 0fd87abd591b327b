"""Makes the attempt that a delivery asks for, whether a worker's loop or a batch brought it."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog
from pydantic import ValidationError

from api.foreign_code import contained
from api.jobs.model.handlers import JobContext, JobFailed, JobHandler, Registry, Report
from api.jobs.model.job import WORKER_LOST, Job, JobId, NotAllowed, Transition
from api.jobs.model.queue import Delivery, DeliveryEnd, JobQueue, Outcome, outcome_without_attempt
from api.jobs.store.layout import Busy, Fenced, Missing
from api.jobs.store.store import Contended, JobChanges, JobStore, Started
from api.jobs.work import attempt_end
from api.jobs.work.attempt import Attempt, Ended, LeaseTiming, StopReason
from api.jobs.work.attempt_end import Backoff
from api.problems import field_errors
from api.retry import growing_pauses
from api.upstash import RedisError, TooLarge

# Pauses in seconds: before a job of an unknown type, or a job of a store that is away, is tried
# again; and the shortest and longest between two writes of an end.
UNKNOWN_TYPE_S = 5.0
STORE_AWAY_S = 5.0
RETRY_S = (0.1, 5.0)

Begun = tuple[JobHandler[Any, Any], Started]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class WorkTime:
    """The time that a worker has: `whole_s` in all, until `ends_at` of the monotonic clock.

    A function's invocation has a number of seconds; by default there is no end, as in a server.
    """

    ends_at: float = float("inf")
    whole_s: float = float("inf")

    def has(self, needed_s: float, now: float) -> bool:
        """Return whether `needed_s` seconds are left at `now`.

        Work that needs more than `whole_s` may begin when nine tenths of `whole_s` are left.
        """
        return self.ends_at - now >= min(needed_s, 0.9 * self.whole_s)


ENDLESS = WorkTime()


@dataclass(frozen=True, slots=True)
class JobLimits:
    """Maximum bytes of a result as JSON, and maximum deliveries of a job; with more it fails."""

    result_bytes: int
    receives: int


@dataclass(slots=True)
class JobRunner:
    """Makes attempts for deliveries, whoever brings them.

    `clock` gives seconds since 1970. `count` is called with how each delivery ended. `attempts` are
    those that are running in this process.
    """

    store: JobStore
    changes: JobChanges
    queue: JobQueue
    registry: Registry
    timing: LeaseTiming
    limits: JobLimits
    backoff: Backoff
    clock: Callable[[], float]
    monotonic: Callable[[], float]
    rng: random.Random
    new_id: Callable[[], str]
    count: Callable[[DeliveryEnd], None] = lambda _: None
    attempts: dict[JobId, Attempt] = field(default_factory=dict)
    is_stopping: bool = False

    def __post_init__(self) -> None:
        self.changes.listeners.append(self.saw)

    def stop(self) -> None:
        """Tell all handlers to stop and begin no other attempt; the jobs go back to the queue."""
        self.is_stopping = True
        for attempt in self.attempts.values():
            attempt.stop(StopReason.STOPPED)

    def saw(self, job: Job) -> None:
        """Note a job that this process wrote, so that a cancel reaches its handler here at once."""
        if attempt := self.attempts.get(job.id):
            attempt.saw(job)

    async def run(self, delivery: Delivery, work_time: WorkTime = ENDLESS) -> Outcome:
        """Make one attempt if it may begin now, and return how that ended. Raises nothing."""
        try:
            with contained():
                outcome = await self._run(delivery, work_time)
        except RedisError as error:
            log.warning("job.not_begun", job_id=delivery.job_id, error=type(error).__name__)
            outcome = Outcome(DeliveryEnd.BUSY, STORE_AWAY_S)
        except Exception:
            log.exception("job.broken", job_id=delivery.job_id)
            outcome = Outcome(DeliveryEnd.LOST)
        self.count(outcome.end)
        return outcome

    async def _run(self, delivery: Delivery, work_time: WorkTime) -> Outcome:
        begun = await self._begin(delivery, work_time)
        if isinstance(begun, Outcome):
            return begun
        handler, started = begun
        attempt = self._attempt(started, delivery, handler, work_time)
        self.attempts[attempt.job.id] = attempt
        if self.is_stopping:  # `stop` was called while the lease was taken
            attempt.stop(StopReason.STOPPED)
        try:
            async with attempt.kept_alive():
                return await self._make(attempt, handler, started.input_json)
        except (Fenced, Missing):
            attempt.context.log.warning("job.fenced")
            return Outcome(DeliveryEnd.LOST)
        finally:
            self.attempts.pop(attempt.job.id, None)

    async def _begin(self, delivery: Delivery, work_time: WorkTime) -> Begun | Outcome:
        """Take the lease of the job's next attempt, or return the outcome if there is none."""
        job = await self.store.find(delivery.job_id)
        if job is None or job.is_done:
            return outcome_without_attempt(job)
        handler = self.registry.find(job.type)
        if handler is None:  # perhaps it is known to a newer process
            log.warning("job.unknown_type", job_id=job.id, type=job.type)
            return Outcome(DeliveryEnd.BUSY, UNKNOWN_TYPE_S)
        if self.is_stopping or not work_time.has(handler.timeout_s, self.monotonic()):
            return Outcome(DeliveryEnd.RETURNED)
        try:
            return handler, await self.store.start(job.id, lease_s=self.timing.lease_s)
        except Busy as busy:
            return Outcome(DeliveryEnd.BUSY, busy.retry_after_s)
        except (NotAllowed, Missing) as refused:
            return outcome_without_attempt(refused.job if isinstance(refused, NotAllowed) else None)

    def _attempt(
        self,
        started: Started,
        delivery: Delivery,
        handler: JobHandler[Any, Any],
        work_time: WorkTime,
    ) -> Attempt:
        job = started.job
        context = JobContext(
            job_id=job.id,
            owner=job.owner,
            attempt=job.attempt,
            max_attempts=job.max_attempts,
            log=log.bind(job_id=job.id, type=job.type, attempt=job.attempt),
            deadline=min(self.monotonic() + handler.timeout_s, work_time.ends_at),
            monotonic=self.monotonic,
            report=Report(),
        )
        return Attempt(
            self.store,
            self.queue,
            delivery,
            self.timing,
            job,
            started.token,
            context,
            write_until=work_time.ends_at + STORE_AWAY_S,
        )

    async def _make(
        self, attempt: Attempt, handler: JobHandler[Any, Any], input_json: str
    ) -> Outcome:
        now_ms = self._now_ms()
        if attempt.delivery.receives > self.limits.receives:
            outcome = await self._write(attempt, lambda job: job.failed(now_ms, WORKER_LOST))
            return Outcome(DeliveryEnd.DEAD) if outcome.end is DeliveryEnd.DONE else outcome
        began = self.monotonic()
        try:
            transition, result = await self._run_handler(attempt, handler, input_json)
            outcome = await self._write(attempt, transition, result)
        except TooLarge as error:
            outcome = await self._write_plainly(attempt, error)
        except (Fenced, Missing, NotAllowed, RedisError):
            raise
        except Exception as error:  # noqa: BLE001  # a job must have an end, whatever is wrong
            outcome = await self._write_plainly(attempt, error)
        took_ms = round((self.monotonic() - began) * 1000)
        attempt.context.log.info("job.attempted", status=attempt.job.status, ms=took_ms)
        return outcome

    async def _run_handler(
        self, attempt: Attempt, handler: JobHandler[Any, Any], input_json: str
    ) -> tuple[Transition, str | None]:
        """Run the handler, and return what `_end_of` returns."""
        try:
            with contained():
                data = handler.input.model_validate_json(input_json)
        except ValidationError as error:
            wrong = attempt_end.invalid_input(field_errors(error, within="input"))
            return attempt_end.failed(wrong, self._now_ms(), self.backoff), None
        except Exception as error:  # noqa: BLE001  # a model's validators are a team's own code
            return self._raised(attempt, error), None
        return self._end_of(attempt, handler, await attempt.perform(handler, data))

    def _end_of(
        self, attempt: Attempt, handler: JobHandler[Any, Any], ended: Ended
    ) -> tuple[Transition, str | None]:
        """Return what becomes of the job, and the JSON of its result if it has one."""
        now_ms, run, reason = self._now_ms(), ended.run, ended.reason
        if reason is StopReason.FENCED:
            raise Fenced
        if not run.done():
            attempt.context.log.error("job.does_not_stop")
        has_result = run.done() and not run.cancelled() and run.exception() is None
        if reason and (reason is StopReason.CANCELED or not has_result):
            return attempt_end.stopped(reason, now_ms, self.backoff), None
        try:
            with contained():
                text = attempt_end.json_of(run.result(), handler)
        except Exception as error:  # noqa: BLE001  # a team's own code
            return self._raised(attempt, error), None
        if (size := len(text.encode())) > self.limits.result_bytes:
            wrong = attempt_end.too_large(size, self.limits.result_bytes)
            return attempt_end.failed(wrong, now_ms, self.backoff), None
        return attempt_end.succeeded(now_ms), text

    def _raised(self, attempt: Attempt, error: Exception) -> Transition:
        """Log an exception that ended the attempt, and return the transition for that."""
        failure = attempt_end.error_of(error, self.new_id())
        is_told = isinstance(error, JobFailed)  # the handler has told the owner why
        attempt.context.log.warning(
            "job.attempt_failed",
            code=failure.code,
            ref=failure.ref,
            exc_info=None if is_told else error,
        )
        return attempt_end.failed(failure, self._now_ms(), self.backoff)

    async def _write_plainly(self, attempt: Attempt, error: Exception) -> Outcome:
        """Write an end without result and last report, because these cannot be written."""
        failure = attempt_end.handler_error(self.new_id())
        attempt.context.log.error("job.end_broken", ref=failure.ref, error=type(error).__name__)
        end = attempt_end.failed(failure, self._now_ms(), self.backoff)
        job = await self._write_patiently(attempt, end, None)
        return Outcome(DeliveryEnd.LOST) if job is None else self._after(job)

    async def _write(
        self, attempt: Attempt, transition: Transition, result_json: str | None = None
    ) -> Outcome:
        """Write the end of the attempt, with the last report in it."""
        report = attempt.context.report.take()

        async def write(end: Transition, result_json: str | None) -> Job | None:
            return await self._write_patiently(attempt, lambda job: end(report(job)), result_json)

        try:
            job = await write(transition, result_json)
        except TooLarge:
            size = len((result_json or "").encode())
            wrong = attempt_end.too_large(size, self.limits.result_bytes)
            job = await write(attempt_end.failed(wrong, self._now_ms(), self.backoff), None)
        return Outcome(DeliveryEnd.LOST) if job is None else self._after(job)

    async def _write_patiently(
        self, attempt: Attempt, transition: Transition, result_json: str | None
    ) -> Job | None:
        """Write until `write_until`, while Redis fails; None if it could not be written."""
        pauses = growing_pauses(*RETRY_S, self.rng)
        while self.monotonic() < attempt.write_until:
            try:
                return await attempt.change(transition, result_json=result_json)
            except TooLarge:
                raise
            except RedisError as error:
                attempt.context.log.warning("job.end_delayed", error=type(error).__name__)
                if not (error.transient or isinstance(error, Contended)):
                    return None
            await asyncio.sleep(next(pauses))
        return None

    def _after(self, job: Job) -> Outcome:
        if not job.is_queued:
            return Outcome(DeliveryEnd.DONE)
        if job.next_attempt_ms is None:
            return Outcome(DeliveryEnd.RETURNED)
        return Outcome(DeliveryEnd.RETRY, max(0.0, job.next_attempt_ms / 1000 - self.clock()))

    def _now_ms(self) -> int:
        return int(self.clock() * 1000)
