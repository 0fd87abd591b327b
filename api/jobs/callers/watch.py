"""Waits until a job changes, for long polls and for streams."""

import asyncio
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field

import msgspec

from api.events import Event, EventId, Hub, OpenStreams, TopicName
from api.jobs.model.job import JobId, topic_of
from api.jobs.store.cache import JobCache, KnownJob

REPLICA_LAG_S = 0.1  # the pause before another read of a replica
PATIENCE = 5  # further reads of a version that an event has announced


class _State(msgspec.Struct):
    """The part of an event's data that a watcher needs."""

    version: int


@dataclass(slots=True)
class _Watched:
    """A job that somebody waits for.

    What was read before `since`, in seconds of the monotonic clock, may be too old. None means that
    nobody has looked yet.
    """

    watchers: int = 0
    since: float | None = None


@dataclass(slots=True)
class JobWatch:
    """Lets requests of this process wait until a job changes.

    The hub's poller reads the topics of these jobs; an event only says that there is a newer
    version, which is then read through the cache. `streams` says when this process ends: then
    nobody waits any longer.
    """

    hub: Hub
    cache: JobCache
    streams: OpenStreams
    monotonic: Callable[[], float]
    _watched: dict[JobId, _Watched] = field(default_factory=dict)

    async def changed(self, seen: KnownJob, *, within_s: float) -> KnownJob | None:
        """Wait until the job has another version than `seen`, and return it.

        Return None if it has none within `within_s` seconds, if it is gone, or if the process ends.
        """
        with closing(self.open(seen.job.id)) as watcher, suppress(TimeoutError):
            async with self.streams.hold(within_s):
                return await watcher.next(seen.job.version)
        return None

    async def done(self, seen: KnownJob, *, within_s: float) -> KnownJob:
        """Wait until the job is done, and return it.

        After `within_s` seconds, or when the process ends, return the newest state that was seen.
        """
        with closing(self.open(seen.job.id)) as watcher, suppress(TimeoutError):
            async with self.streams.hold(within_s):
                while not seen.job.is_done and (changed := await watcher.next(seen.job.version)):
                    seen = changed
        return seen

    def open(self, job_id: JobId) -> "Watcher":
        """Begin to watch a job, and return a watcher. The caller must close it."""
        watched = self._watched.setdefault(job_id, _Watched())
        watched.watchers += 1
        self.hub.watch([topic_of(job_id)])
        return Watcher(self, job_id, topic_of(job_id), watched)

    def close(self, job_id: JobId) -> None:
        """End one watch of the job. Only `Watcher.close` calls this."""
        self.hub.unwatch([topic_of(job_id)])
        self._watched[job_id].watchers -= 1
        if not self._watched[job_id].watchers:
            del self._watched[job_id]


class Watcher:
    """One request, or one stream, that waits for changes of a job. `JobWatch.open` makes it.

    It reads the job once more after it has found where the topic stands: otherwise it would miss a
    change between the caller's own read and that moment.
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
        """Wait until the job is done or has another version than `version`, and return it.

        Return None if the job is gone. This waits without a limit, so the caller sets a time-out.
        Raises `RedisError`.
        """
        hub = self._watch.hub
        while True:
            # Taken before the read, so that the wait below does not miss a change during it.
            movement = hub.movement
            await self._look()
            seen = await self._watch.cache.get(
                self._job_id, since=self._shared.since, at_least=self._newest
            )
            if seen is None or seen.job.version != version or seen.job.is_done:
                return seen
            # A replica may not have this version yet, so it is read again. But only a few times:
            # an admin may have published a version that never comes.
            if seen.job.version < self._newest and self._patience:
                self._patience -= 1
                await asyncio.sleep(REPLICA_LAG_S)
                continue
            self._newest, self._patience = 0, PATIENCE
            while hub.position(self._topic) == self._at:
                await movement.wait()
                movement = hub.movement

    def close(self) -> None:
        """End the watch. The topic is read on for as long as others wait for the same job."""
        self._watch.close(self._job_id)

    async def _look(self) -> None:
        """Find out where the topic stands, and which version its newest event tells of."""
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
