"""Streams the states of one job as Server-Sent Events, until it is done."""

import asyncio

import structlog

from api.events import CloseReason, Connection, Deadline, Session, Streaming, sse
from api.jobs.callers.watch import JobWatch, Watcher
from api.jobs.model.job import JobId
from api.jobs.model.view import PollHints, job_json
from api.jobs.store.cache import KnownJob
from api.upstash import RedisError

log = structlog.get_logger()


class JobStream(Session):
    """Sends the present state of a job and each later one; the ids of the frames are versions.

    `version` is the one that the client has, None if it has none. A client that missed several
    versions gets only the newest, because a state needs no earlier one to be understood.
    """

    def __init__(
        self,
        streaming: Streaming,
        watch: JobWatch,
        hints: PollHints,
        job_id: JobId,
        *,
        version: int | None,
        deadline: Deadline,
        expires_at: float | None,
    ) -> None:
        super().__init__(streaming, deadline, named=True, expires_at=expires_at)
        self._watch = watch
        self._hints = hints
        self._job_id = job_id
        self._version = version
        self._watcher: Watcher | None = None

    def _closed(self, _: Connection) -> None:
        if self._watcher is not None:
            self._watcher.close()

    async def _feed(self, connection: Connection) -> None:
        try:
            await connection.push(sse.opening(self._streaming.pause_ms()))
            self._watcher = watcher = self._watch.open(self._job_id)
            while not connection.ended:
                seen = await self._next(watcher)
                if seen is None:  # the client connects again, and gets 404 or 410
                    connection.end(CloseReason.ROTATE)
                    return
                await self._send(connection, seen)
        except Exception:
            log.exception("stream.broken")
            connection.end(CloseReason.ROTATE)

    async def _send(self, connection: Connection, seen: KnownJob) -> None:
        self._version = seen.job.version
        await connection.push(job_frame(seen, self._hints))
        self._streaming.metrics.delivered.inc()
        if seen.job.is_done:
            connection.finish()
        elif self._deadline.one_batch:
            connection.end(self._deadline.reason)

    async def _next(self, watcher: Watcher) -> KnownJob | None:
        """Wait for the next state; while Redis fails, ask again."""
        while True:
            try:
                return await watcher.next(self._version)
            except RedisError as error:
                log.warning("stream.waits_for_store", error=type(error).__name__)
            await asyncio.sleep(self._streaming.rng.uniform(0.5, 1.5))


def job_frame(seen: KnownJob, hints: PollHints) -> bytes:
    """Encode one state as a frame of Server-Sent Events, with the JSON that GET would answer."""
    job = seen.job
    data = job_json(
        job, position=seen.position, poll_after_ms=hints.poll_after_ms(job, position=seen.position)
    )
    return b"event: job\ndata: %s\nid: %d\n\n" % (data, job.version)
