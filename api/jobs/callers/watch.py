"""Waits until a job changes, for long polls and for streams."""

import asyncio
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field

import msgspec

from api.events import Event, EventId, Hub, OpenStreams, TopicName
from api.jobs.model.job import JobId, topic_of
from api.jobs.store.cache import JobCache, KnownJob

REPLICA_LAG_S = 0.1
PATIENCE = 5


class _State(msgspec.Struct):
    """What a watcher needs of an event."""

    version: int


@dataclass(slots=True)
class _Watched:
    """A job that somebody waits for.

    What was read before `since`, of the monotonic clock, may be too old. None is before the
    first look.
    """

    watchers: int = 0
    since: float | None = None


@dataclass(slots=True)
class JobWatch:
    """The jobs that requests of this process wait for.

    The hub's poller reads their topics; an event only says that there is a newer version, which is
    then read through the cache. `streams` says when this process ends.
    """

    hub: Hub
    cache: JobCache
    streams: OpenStreams
    monotonic: Callable[[], float]
    _watched: dict[JobId, _Watched] = field(default_factory=dict)

    async def changed(self, seen: KnownJob, *, within_s: float) -> KnownJob | None:
        """The job as soon as it has another version; None if it has none within that time.

        A process that is about to end does not wait.
        """
        with closing(self.open(seen.job.id)) as watcher, suppress(TimeoutError):
            async with self.streams.hold(within_s):
                return await watcher.next(seen.job.version)
        return None

    async def done(self, seen: KnownJob, *, within_s: float) -> KnownJob:
        """The job when it is done, or as it is when time is up."""
        with closing(self.open(seen.job.id)) as watcher, suppress(TimeoutError):
            async with self.streams.hold(within_s):
                while not seen.job.is_done and (changed := await watcher.next(seen.job.version)):
                    seen = changed
        return seen

    def open(self, job_id: JobId) -> "Watcher":
        """Begin to watch; the watcher has to be closed."""
        watched = self._watched.setdefault(job_id, _Watched())
        watched.watchers += 1
        self.hub.watch([topic_of(job_id)])
        return Watcher(self, job_id, topic_of(job_id), watched)

    def close(self, job_id: JobId) -> None:
        """End one watch of the job: see `Watcher.close`."""
        self.hub.unwatch([topic_of(job_id)])
        self._watched[job_id].watchers -= 1
        if not self._watched[job_id].watchers:
            del self._watched[job_id]


class Watcher:
    """One request that waits for a job, or one stream.

    The job is read once more after it is known where the topic stands: a change that came between
    the caller's read and that moment would else be missed.
    """

    def __init__(self, watch: JobWatch, job_id: JobId, topic: TopicName, shared: _Watched) -> None:
        self._watch = watch
        self._job_id = job_id
        self._topic = topic
        self._shared = shared
        self._at: EventId | None = None
        self._newest = 0
        self._patience = PATIENCE

    async def next(self, version: int | None) -> KnownJob | None:
        """The job as soon as it is done or has another version; None when it is gone.

        Waits for ever, so the caller brings the time-out. Raises `RedisError`.
        """
        hub = self._watch.hub
        while True:
            # Taken before the read: what moves after this is not missed by the wait below.
            movement = hub.movement
            await self._look()
            seen = await self._watch.cache.get(
                self._job_id, since=self._shared.since, at_least=self._newest
            )
            if seen is None or seen.job.version != version or seen.job.is_done:
                return seen
            # A replica may lag behind the event. But an admin may have published a version that
            # never comes, so it is looked for a few times only.
            if seen.job.version < self._newest and self._patience:
                self._patience -= 1
                await asyncio.sleep(REPLICA_LAG_S)
                continue
            self._newest, self._patience = 0, PATIENCE
            while hub.position(self._topic) == self._at:
                await movement.wait()
                movement = hub.movement

    def close(self) -> None:
        """Wait no more; the topic is read for as long as anybody else waits for the job."""
        self._watch.close(self._job_id)

    async def _look(self) -> None:
        """See where the topic stands, and which version it has come to."""
        hub = self._watch.hub
        at = hub.position(self._topic)
        if at is None:
            at = (await hub.locate([self._topic]))[self._topic]
        if self._shared.since is None:
            self._shared.since = self._watch.monotonic()
        if self._at is not None and at != self._at:
            news = hub.after(self._topic, self._at)
            version = _version_of(news[-1]) if news else None
            if version is None:  # there was a gap
                self._shared.since = self._watch.monotonic()
            else:
                self._newest = version
        self._at = at


def _version_of(event: Event) -> int | None:
    try:
        return msgspec.json.decode(event.data, type=_State).version
    except msgspec.DecodeError:  # not of ours: an admin may publish anywhere
        return None
