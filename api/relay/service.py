"""Passes upstreams on. Each is read only while somebody here reads its topic."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import Context
from dataclasses import dataclass, field

from api.events import TopicName
from api.relay.problems import UnknownSource
from api.relay.reader import SourceReader
from api.security.grants import Action
from api.security.principal import Principal
from api.settings.relay_sources import RelaySource

PREFIX = "relay"
# Seconds. Longer than the pause between two polls, and than a reconnect takes.
LINGER_S = 15.0


def relay_topic(name: str) -> str:
    """Return the topic of a source. `name` may come from outside, and is not checked here."""
    return f"{PREFIX}:{name}"


@dataclass(frozen=True, slots=True)
class RelayRule:
    """Grants everybody who is signed in to read the sources that are set to be for `everyone`."""

    sources: Mapping[str, RelaySource]

    async def allows(self, _: Principal, action: Action, topic: str) -> bool:
        """Return whether `action` is to read the topic of a source that is for everyone."""
        source = self.sources.get(topic.partition(":")[2])
        return action is Action.READ and source is not None and source.everyone


@dataclass(slots=True)
class _Demand:
    """How many readers a source has in this process, and the task that reads for them."""

    readers: int = 0
    task: asyncio.Task[None] | None = None
    timer: asyncio.TimerHandle | None = field(default=None)


class Relay:
    """Reads each source while it has readers in this process, and `LINGER_S` seconds longer.

    `read` makes the reader of a source from its name.
    """

    def __init__(
        self, sources: Mapping[str, RelaySource], read: Callable[[str], SourceReader]
    ) -> None:
        self._demands = {name: _Demand() for name in sources}
        self._read = read

    def require(self, name: str) -> TopicName:
        """Return the topic of a source. Raises `UnknownSource` if there is no such source."""
        if name not in self._demands:
            raise UnknownSource
        return TopicName(relay_topic(name))

    @contextmanager
    def reading(self, name: str) -> Iterator[None]:
        """Count one more reader of the source in this process, while the context is open.

        The first reader has the upstream read.
        """
        demand = self._demands[name]
        demand.readers += 1
        if demand.timer is not None:
            demand.timer.cancel()
            demand.timer = None
        if demand.task is None or demand.task.done() or demand.task.cancelling():
            work = self._serve(name, demand.task)
            # In an empty context: that of the first request would put its id on all log lines.
            demand.task = asyncio.create_task(work, context=Context())
        try:
            yield
        finally:
            demand.readers -= 1
            if not demand.readers:
                loop = asyncio.get_running_loop()
                demand.timer = loop.call_later(LINGER_S, demand.task.cancel)

    async def _serve(self, name: str, before: asyncio.Task[None] | None) -> None:
        if before is not None:  # the task before may still hold the source
            await asyncio.wait([before])
        await self._read(name).run()

    async def close(self) -> None:
        """Stop reading all sources, and release the leases that this process holds."""
        tasks = [demand.task for demand in self._demands.values() if demand.task is not None]
        for demand in self._demands.values():
            if demand.timer is not None:
                demand.timer.cancel()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
