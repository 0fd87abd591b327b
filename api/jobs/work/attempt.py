"""Runs one attempt: the handler, and meanwhile the heartbeat and the writing of reports."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from api.foreign_code import result_of
from api.jobs.model.handlers import JobContext, JobHandler
from api.jobs.model.job import Job, NotAllowed, Transition
from api.jobs.model.queue import Delivery, JobQueue, QueueError
from api.jobs.store.layout import Fenced, LeaseToken, Missing
from api.jobs.store.store import JobStore
from api.upstash import RedisError

REPORT_PAUSE_S = 0.25  # between two writes of what a handler reports
CLEAN_UP_S = 5.0  # for a handler that was told to stop
BEATS_PER_LEASE = 3  # to the queue; the store gets more, because their answers tell of cancels


class StopReason(StrEnum):
    """Why a handler was told to stop."""

    CANCELED = "canceled"
    """The job's owner asked for it."""
    FENCED = "fenced"
    """Another worker has the job by now."""
    STOPPED = "stopped"
    """The worker that runs the attempt is about to end."""
    TIMED_OUT = "timed-out"
    """The attempt has lasted for as long as its type of job allows, or as its worker has time."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How the run of a handler ended: the task `run` has its result or its exception.

    With a `reason` the handler was told to stop. It may have ignored that, and then `run` may not
    be done. None means that the handler ended by itself.
    """

    run: asyncio.Task[BaseModel]
    reason: StopReason | None


@dataclass(frozen=True, slots=True)
class LeaseTiming:
    """How many seconds a lease lasts, and how many pass between two renewals."""

    lease_s: float
    heartbeat_s: float


@dataclass(slots=True)
class Attempt:
    """One attempt at a job, from its start to the writing of its end.

    `job` is the newest state known here. While Redis is away, the end of the attempt is written
    again and again until `write_until`, in seconds of the monotonic clock. `reason` says why the
    handler has to stop, and is None while it may go on.
    """

    store: JobStore
    queue: JobQueue
    delivery: Delivery
    timing: LeaseTiming
    job: Job
    token: LeaseToken
    context: JobContext
    write_until: float
    reason: StopReason | None = None
    _was_stopped: asyncio.Event = field(default_factory=asyncio.Event)

    def saw(self, job: Job) -> None:
        """Note a state of the job, whoever wrote it; a requested cancel stops the handler."""
        if job.version >= self.job.version:
            self.job = job
        if job.cancel_requested and job.is_running:
            self.stop(StopReason.CANCELED)

    def stop(self, reason: StopReason) -> None:
        """Tell the handler to stop. The first reason counts, but `FENCED` replaces any other."""
        if self.reason is None or reason is StopReason.FENCED:
            self.reason = reason
            self.context.is_cancelled = True
            self._was_stopped.set()

    async def perform(self, handler: JobHandler[Any, Any], data: BaseModel) -> Ended:
        """Run the handler until it ends, is told to stop, or has had its time.

        A handler that is told to stop has `CLEAN_UP_S` seconds to end. What it raises is in the
        result.
        """
        run = asyncio.create_task(result_of(handler, self.context, data))
        if self.reason is not None:  # before it has begun
            run.cancel()
            await asyncio.wait({run})
            return Ended(run, self.reason)
        stopping = asyncio.create_task(self._was_stopped.wait())
        try:
            await asyncio.wait(
                {run, stopping},
                timeout=self.context.left_s(),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if run.done():
                return Ended(run, None)
            self.stop(StopReason.TIMED_OUT)
            run.cancel()
            await asyncio.wait({run}, timeout=CLEAN_UP_S)
        finally:
            stopping.cancel()
            run.cancel()
        return Ended(run, self.reason)

    @asynccontextmanager
    async def kept_alive(self) -> AsyncIterator[None]:
        """Renew the lease, keep the delivery and write reports while the context is open."""
        beside = {asyncio.create_task(self._keep_alive()), asyncio.create_task(self._write())}
        try:
            yield
        finally:
            for task in beside:
                task.cancel()
            await asyncio.wait(beside)

    async def change(self, transition: Transition, *, result_json: str | None = None) -> Job:
        """Write what `transition` makes of the job, under this attempt's lease, and return the job.

        `result_json` is the result to store. Raises as `JobStore.change`: `Fenced` if another
        worker has the job by now.
        """
        job = await self.store.change(
            self.job.id, transition, token=self.token, known=self.job, result_json=result_json
        )
        self.saw(job)
        return job

    async def _write(self) -> None:
        report = self.context.report
        while True:
            await report.news.wait()
            try:
                await self.change(report.take())
            except (Fenced, Missing, NotAllowed):
                self.stop(StopReason.FENCED)
                return
            except RedisError as error:
                self.context.log.warning("job.report_delayed", error=type(error).__name__)
                report.news.set()
            except Exception:
                # Later reports may still be written; the end of the attempt writes the last one.
                self.context.log.exception("job.report_broken")
            await asyncio.sleep(REPORT_PAUSE_S)

    async def _keep_alive(self) -> None:
        beats = max(1, int(self.timing.lease_s / BEATS_PER_LEASE / self.timing.heartbeat_s))
        while True:
            for _ in range(beats):
                await asyncio.sleep(self.timing.heartbeat_s)
                await self._renew()
            # Only with the lease: a worker that lost it must not keep the delivery from another.
            if self.reason is not StopReason.FENCED:
                await self._hold()

    async def _renew(self) -> None:
        try:
            self.saw(await self.store.renew(self.job.id, self.token, lease_s=self.timing.lease_s))
        except (Fenced, Missing):
            self.stop(StopReason.FENCED)
        except RedisError as error:
            self.context.log.warning("job.heartbeat_failed", error=type(error).__name__)

    async def _hold(self) -> None:
        with suppress(RedisError, QueueError):
            await self.queue.heartbeat(self.delivery, lease_s=self.timing.lease_s)
