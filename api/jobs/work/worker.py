"""The loop of a process that does jobs: takes deliveries, several at once, until drained."""

import asyncio
import random
from collections.abc import Iterator, Sequence

import structlog

from api.jobs.model.queue import Delivery, JobQueue, QueueError, finish_delivery
from api.jobs.work.runner import JobRunner
from api.jobs.work.sweep import Sweep
from api.retry import growing_pauses
from api.upstash import RedisError

CLAIM_WAIT_S = 2.0
RETRY_S = (0.25, 10.0)  # shortest and longest pause while the queue fails
SWEEP_S = 60.0

log = structlog.get_logger()


class Worker:
    """Takes deliveries from the queue and makes up to `slots` attempts at once; 0 means none.

    Whoever starts it must drain it. With a `sweep` it runs that too, about every `SWEEP_S` seconds.
    """

    def __init__(
        self,
        queue: JobQueue,
        runner: JobRunner,
        *,
        slots: int,
        rng: random.Random,
        sweep: Sweep | None = None,
    ) -> None:
        self._queue = queue
        self._runner = runner
        self._slots = slots
        self._rng = rng
        self._sweep = sweep
        self._loops: set[asyncio.Task[None]] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._pauses: Iterator[float] | None = None  # None while the queue answers

    def start(self) -> None:
        """Begin to take deliveries; needs a running event loop. A second call does nothing."""
        if not self._slots or self._loops:
            return
        self._loops.add(asyncio.create_task(self._work()))
        if self._sweep is not None:
            self._loops.add(asyncio.create_task(self._keep_sweeping(self._sweep)))

    async def drain(self, *, timeout_s: float) -> None:
        """Take no more deliveries, stop all handlers and give their jobs back to the queue.

        Waits up to `timeout_s` seconds. A job that is not given back by then is delivered again
        when its lease has ended.
        """
        self._runner.stop()
        for loop in self._loops:
            loop.cancel()
        tasks = self._serving | self._loops
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=timeout_s)
        for task in late:
            task.cancel()
        if late:
            log.warning("worker.drain_incomplete", jobs=len(self._serving))
            await asyncio.wait(late, timeout=1)

    async def _work(self) -> None:
        while True:
            free = self._slots - len(self._serving)
            if not free:
                await asyncio.wait(self._serving, return_when=asyncio.FIRST_COMPLETED)
                continue
            for delivery in await self._claim(free):
                task = asyncio.create_task(self._serve(delivery))
                self._serving.add(task)
                task.add_done_callback(self._serving.discard)

    async def _keep_sweeping(self, sweep: Sweep) -> None:
        while True:
            try:
                await sweep.run()
            except (RedisError, QueueError) as error:
                log.warning("worker.sweep_failed", error=type(error).__name__)
            except Exception:
                log.exception("worker.sweep_broken")
            await asyncio.sleep(SWEEP_S * self._rng.uniform(0.75, 1.25))

    async def _claim(self, limit: int) -> Sequence[Delivery]:
        """Return deliveries. After a failure, pause for longer each time, and return none."""
        try:
            found = await self._queue.claim(limit, wait_s=CLAIM_WAIT_S)
        except (RedisError, QueueError) as error:
            await self._pause(type(error).__name__)
        except Exception:
            # No exception may end this loop: without it the process would do no more jobs.
            log.exception("worker.broken")
            await self._pause("bug")
        else:
            if self._pauses:
                log.info("worker.recovered")
            self._pauses = None
            return found
        return []

    async def _pause(self, error: str) -> None:
        if self._pauses is None:
            log.warning("worker.failing", error=error)
            self._pauses = growing_pauses(*RETRY_S, self._rng)
        await asyncio.sleep(next(self._pauses))

    async def _serve(self, delivery: Delivery) -> None:
        outcome = await self._runner.run(delivery)
        try:
            await finish_delivery(self._queue, delivery, outcome)
        except (RedisError, QueueError) as error:
            # It is delivered again after a time without heartbeats; the store tells if it is done.
            log.warning("job.not_settled", job_id=delivery.job_id, error=type(error).__name__)
