"""What a user has read and deleted: one small hash, however many broadcasts there are."""

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
    """What one user has read. `marks` are the fields of the hash that `scripts` describes."""

    marks: Mapping[str, str]

    def up_to(self, topic: TopicName) -> EventId:
        """The event up to which everything of the topic was read; 0-0 if there is none."""
        text = self.marks.get(_source(topic))
        return EventId.parse(text) if text else _NOTHING

    def is_read(self, event: Event) -> bool:
        """Whether the user has marked the notification, or all up to it, as read."""
        return self._mark(event) is not None or event.id <= self.up_to(event.topic)

    def is_deleted(self, event: Event) -> bool:
        """Whether the user has deleted the notification."""
        return self._mark(event) == "deleted"

    def _mark(self, event: Event) -> str | None:
        return self.marks.get(f"{_source(event.topic)}:{event.id}")


@dataclass(frozen=True, slots=True)
class Changed:
    """How many notifications were changed, and which of those named are not there."""

    count: int
    missing: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ReadStates:
    """The read state of all users. Every method raises `RedisError`.

    `ttl_s` is the age at which a notification is no longer shown; `clock` gives epoch seconds.
    """

    log: TopicLog
    ttl_s: int
    clock: Callable[[], float]

    def oldest(self) -> EventId:
        """The id that a notification must be above: those below it are too old to be shown."""
        return EventId(max(0, int((self.clock() - self.ttl_s) * 1000)), 0)

    async def of(self, user: str) -> ReadState:
        """The read state of `user`; one command."""
        return ReadState(await self.log.client.read("HGETALL", _key(user)) or {})

    async def unread(self, user: str) -> int:
        """How many are neither read nor deleted."""
        count: int = await self.log.client.script(
            scripts.UNREAD, keys=_keys(user), args=[self.oldest().ms], repeatable=True
        )
        return count

    async def mark_read(self, user: str, names: Sequence[tuple[str, EventId]]) -> Changed:
        """Mark single ones as read. Those that were read already are not counted."""
        text = (f'{{"type":"{READ}","data":{{"ids":[', '],"up_to":{}}}')
        return await self._mark(user, "read", names, text)

    async def delete(self, user: str, names: Sequence[tuple[str, EventId]]) -> Changed:
        """Never show these again. Those that were deleted already do not count as missing."""
        text = (f'{{"type":"{DELETED}","data":{{"ids":[', "]}}")
        return await self._mark(user, "deleted", names, text)

    async def mark_up_to(self, user: str, own: EventId | None, broadcast: EventId | None) -> int:
        """Mark all up to these ids as read. Returns the number of topics where that was news."""
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
