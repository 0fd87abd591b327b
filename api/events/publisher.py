"""Publishing: from a draft to an entry in the log.

A draft is checked against the catalogue, encoded, and appended to its topic's log; then the
readers of this process and of others are woken. They read the event from the log.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from typing import Any

import msgspec
import structlog

from api.events.catalogue import Catalogue
from api.events.event import EventId
from api.events.log.idempotency import Group
from api.events.log.topic_log import TopicLog
from api.events.topic import TopicName
from api.payloads.digest import digest_of
from api.problems import (
    ApiError,
    IdempotencyKeyReused,
    PayloadTooLarge,
    PublishUncertain,
    StoreUnavailable,
)
from api.telemetry.metrics import Metrics
from api.upstash import NoReply, RedisError, TooLarge

log = structlog.get_logger()

WakeUpCommands = Callable[[Sequence[TopicName]], Sequence[Sequence[str]]]
"""The commands that tell other processes of news on topics; none without a doorbell."""


@dataclass(frozen=True, slots=True)
class Draft:
    """An event to publish.

    With an `idempotency_key` it is stored once, however often it is sent.
    """

    topic: TopicName
    type: str
    data: Any
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """A stored event's id. `replayed` means that an earlier request had stored it."""

    id: EventId
    replayed: bool = False


Outcome = Published | ApiError
"""What became of one draft."""


@dataclass(slots=True)
class Publisher:
    """Publishes for all features. `wake(topic)` has this process read the topic at once."""

    log: TopicLog
    catalogue: Catalogue
    metrics: Metrics
    max_event_bytes: int
    wake: Callable[[TopicName], None]
    wake_up_commands: WakeUpCommands

    async def publish(self, draft: Draft, *, owner: str) -> Published:
        """Store one event. Raises the `ApiError` that says why not.

        `owner` scopes the idempotency key: two callers may use the same one.
        """
        (outcome,) = await self.publish_many([draft], owner=owner)
        if isinstance(outcome, ApiError):
            raise outcome
        return outcome

    async def publish_many(self, drafts: Sequence[Draft], *, owner: str) -> list[Outcome]:
        """Store events, those of one topic in this order. Returns an outcome for each.

        Neighbours without an idempotency key take one round trip together.
        """
        outcomes: list[Outcome] = []
        pending: list[tuple[TopicName, str]] = []
        for draft in drafts:
            entry = self._entry(draft)
            if isinstance(entry, str) and draft.idempotency_key is None:
                pending.append((draft.topic, entry))
                continue
            outcomes += await self._append(pending)
            pending = []
            if isinstance(entry, str):
                outcomes.append(await self._append_once(draft, entry, owner))
            else:
                outcomes.append(entry)
        return outcomes + await self._append(pending)

    async def publish_together(
        self, drafts: Sequence[Draft], *, owner: str, scope: str, key: str | None
    ) -> list[Published]:
        """Store one event on each of several topics, all or none. Raises `ApiError`.

        With a `key` they are stored once, however often `owner` sends it within `scope`. A scope
        is any text that is not a topic, because each topic is the scope of its own keys.
        """
        entries = []
        for draft in drafts:
            text = self._entry(draft)
            if isinstance(text, ApiError):
                raise text
            entries.append((draft.topic, text))
        if key is not None:
            ids, replayed = await self._stored_once(entries, digest_of(owner, scope, key))
            return [Published(event_id, replayed) for event_id in ids]
        published = []
        for outcome in await self._append(entries, as_one=True):
            if isinstance(outcome, ApiError):
                raise outcome
            published.append(outcome)
        return published

    async def stored(self, topics: Sequence[TopicName]) -> None:
        """Count and announce events that a feature stored by itself, together with its state."""
        self.metrics.published.inc(len(topics))
        await self._announce(list(dict.fromkeys(topics)))

    async def publish_groups(
        self, groups: Mapping[str, Sequence[Draft]], *, owner: str, mark_ttl_s: int
    ) -> list[bool]:
        """Store the drafts of each key together, once in `mark_ttl_s` seconds.

        Returns for each key whether its drafts were stored now, False if they had been before. A
        refused draft is left out and logged. Raises `StoreUnavailable`.
        """
        ready = [
            Group(digest_of(owner, key), list(self._entries(drafts)))
            for key, drafts in groups.items()
        ]
        try:
            stored = await self.log.append_groups(ready, mark_ttl_s=mark_ttl_s)
        except RedisError as error:
            raise StoreUnavailable from error
        pairs = zip(ready, stored, strict=True)
        self.metrics.published.inc(sum(len(group.entries) for group, is_new in pairs if is_new))
        topics = dict.fromkeys(topic for group in ready for topic, _ in group.entries)
        await self._announce(list(topics))
        return stored

    def _entries(self, drafts: Sequence[Draft]) -> Iterator[tuple[TopicName, str]]:
        for draft in drafts:
            entry = self._entry(draft)
            if isinstance(entry, str):
                yield draft.topic, entry
            else:
                log.warning("publish.refused", type=draft.type, problem=entry.code)

    def _entry(self, draft: Draft) -> str | ApiError:
        """The text to store, or why the draft is refused."""
        try:
            data = self.catalogue.checked(draft.topic, draft.type, draft.data)
        except ApiError as error:
            return error
        text = msgspec.json.encode({"type": draft.type, "data": data})
        if len(text) > self.max_event_bytes:
            return PayloadTooLarge(f"An event may have {self.max_event_bytes} bytes as JSON.")
        return text.decode()

    async def _append(
        self, entries: Sequence[tuple[TopicName, str]], *, as_one: bool = False
    ) -> list[Outcome]:
        if not entries:
            return []
        topics = list(dict.fromkeys(topic for topic, _ in entries))
        try:
            stored = await self.log.append(
                entries, also=self.wake_up_commands(topics), as_one=as_one
            )
        except RedisError as error:
            return [_problem(error)] * len(entries)
        for topic in topics:
            self.wake(topic)
        self.metrics.published.inc(sum(isinstance(one, EventId) for one in stored))
        return [_problem(one) if isinstance(one, RedisError) else Published(one) for one in stored]

    async def _append_once(self, draft: Draft, text: str, owner: str) -> Outcome:
        key = digest_of(owner, draft.topic, draft.idempotency_key or "")
        try:
            ((event_id,), replayed) = await self._stored_once([(draft.topic, text)], key)
        except ApiError as error:
            return error
        return Published(event_id, replayed)

    async def _stored_once(
        self, entries: Sequence[tuple[TopicName, str]], key: str
    ) -> tuple[tuple[EventId, ...], bool]:
        """The ids, and whether they were there before. Raises `ApiError`."""
        fingerprint = digest_of(*chain.from_iterable(entries))
        try:
            stored = await self.log.append_once(entries, key=key, fingerprint=fingerprint)
        except RedisError as error:
            raise _problem(error) from error
        if stored.fingerprint != fingerprint:
            raise IdempotencyKeyReused
        self.metrics.published.inc(0 if stored.replayed else len(entries))
        # Also for a repeat: the request that stored it may have failed before it woke anybody.
        await self._announce([topic for topic, _ in entries])
        return stored.ids, stored.replayed

    async def _announce(self, topics: Sequence[TopicName]) -> None:
        """Wake readers here and elsewhere. A wake-up that is lost only delays: all poll as well."""
        for topic in topics:
            self.wake(topic)
        if commands := self.wake_up_commands(topics):
            with suppress(RedisError):
                await self.log.client.pipeline(commands)


def _problem(error: RedisError) -> ApiError:
    if isinstance(error, TooLarge):
        return PayloadTooLarge()
    if isinstance(error, NoReply):
        return PublishUncertain()
    return StoreUnavailable()
