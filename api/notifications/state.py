"""The read state of users: one small hash for each, however many broadcasts there are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from api.events import Event, EventId, TopicLog, TopicName, log_key
from api.notifications import scripts
from api.notifications.topics import BROADCAST, DELETED, READ, topics_of
from api.upstash import Script

OWN: Final = "own"
ALL: Final = "all"
_NOTHING: Final = EventId(0, 0)


def _source(topic: str) -> str:
    return ALL if topic == BROADCAST else OWN


@dataclass(frozen=True, slots=True)
class ReadState:
    """What one user has read and deleted.

    `marks` are the fields of the user's hash, which `scripts` describes.
    """

    marks: Mapping[str, str]

    def up_to(self, topic: TopicName) -> EventId:
        """Return the event id up to and including which the topic was read; 0-0 if none was."""
        text = self.marks.get(_source(topic))
        return EventId.parse(text) if text else _NOTHING

    def is_read(self, event: Event) -> bool:
        """Return whether the user has read or deleted this, or read everything up to it."""
        return self._mark(event) is not None or event.id <= self.up_to(event.topic)

    def is_deleted(self, event: Event) -> bool:
        """Return whether the user has deleted the notification."""
        return self._mark(event) == "deleted"

    def _mark(self, event: Event) -> str | None:
        return self.marks.get(f"{_source(event.topic)}:{event.id}")


@dataclass(frozen=True, slots=True)
class Changed:
    """The result of a change: how many notifications it changed.

    `missing` are the ids (`<topic>/<event id>`) that are not among the user's notifications.
    """

    count: int
    missing: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ReadStates:
    """Reads and changes the read state of users in Redis.

    Every method but `oldest` raises `RedisError`. `ttl_s` is the age in seconds above which a
    notification is no longer shown. `clock` gives epoch seconds.
    """

    log: TopicLog
    ttl_s: int
    clock: Callable[[], float]

    def oldest(self) -> EventId:
        """Return the lowest id that is shown: notifications below it are too old."""
        return EventId(max(0, int((self.clock() - self.ttl_s) * 1000)), 0)

    async def of(self, user: str) -> ReadState:
        """Return the read state of `user`, empty if nothing was ever read; one command."""
        return ReadState(await self.log.client.read("HGETALL", _key(user)) or {})

    async def unread(self, user: str) -> int:
        """Return how many of the user's notifications are neither read nor deleted."""
        count: int = await self.log.client.script(
            scripts.UNREAD, keys=_keys(user), args=[self.oldest().ms], repeatable=True
        )
        return count

    async def mark_read(self, user: str, names: Sequence[tuple[str, EventId]]) -> Changed:
        """Mark single notifications as read, given as pairs of topic and event id.

        Those that were read already are not counted. Deleted ones are reported as missing.
        """
        text = (f'{{"type":"{READ}","data":{{"ids":[', '],"up_to":{}}}')
        return await self._mark(user, "read", names, text)

    async def delete(self, user: str, names: Sequence[tuple[str, EventId]]) -> Changed:
        """Mark single notifications as deleted, given as pairs of topic and event id.

        Those that were deleted already are neither counted nor reported as missing.
        """
        text = (f'{{"type":"{DELETED}","data":{{"ids":[', "]}}")
        return await self._mark(user, "deleted", names, text)

    async def mark_up_to(self, user: str, own: EventId | None, broadcast: EventId | None) -> int:
        """Mark as read everything up to and including `own` and `broadcast`.

        `own` is in the user's own topic, `broadcast` in the topic for all; None leaves a topic as
        it is. Returns in how many topics something changed.
        """
        text = (f'{{"type":"{READ}","data":{{"ids":[],"up_to":{{', "}}}")
        ids = [str(at) if at else "" for at in (own, broadcast)]
        _, changed, _ = await self._run(scripts.MARK_UP_TO, user, text, ids)
        return int(changed)

    async def _mark(
        self, user: str, value: str, names: Sequence[tuple[str, EventId]], text: tuple[str, str]
    ) -> Changed:
        theirs = [(topic, at) for topic, at in dict.fromkeys(names) if topic in topics_of(user)]
        foreign = [f"{topic}/{at}" for topic, at in names if topic not in topics_of(user)]
        if not theirs:
            return Changed(0, foreign)
        items = [part for topic, at in theirs for part in (_source(topic), str(at))]
        missing, _, count, _ = await self._run(scripts.MARK, user, text, [value, *items])
        return Changed(count, [*foreign, *missing])

    async def _run(
        self, script: Script, user: str, text: tuple[str, str], args: Sequence[str]
    ) -> Any:
        topics = topics_of(user)
        keep = self.log.retention(topics[0])
        common: list[str | float] = [
            self.oldest().ms,
            self.ttl_s,
            keep.max_events,
            keep.ttl_s,
            *text,
            *topics,
        ]
        # Repeatable: a second run changes nothing and publishes no event.
        return await self.log.client.script(
            script, keys=_keys(user), args=[*common, *args], repeatable=True
        )


def _key(user: str) -> str:
    return f"millrace:notifications:{user}"


def _keys(user: str) -> list[str]:
    return [_key(user), *map(log_key, topics_of(user))]
