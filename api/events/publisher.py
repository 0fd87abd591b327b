"""Publishes events: from a draft to an entry in the log of its topic.

A draft is checked against the catalogue, encoded and appended to the log. Then the pollers of this
process and, with a doorbell, of the others are woken; readers get the event from the log.
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
"""Takes topics and returns the commands that wake other processes; none without a doorbell."""


@dataclass(frozen=True, slots=True)
class Draft:
    """An event to publish. `data` is anything that JSON can hold.

    With an `idempotency_key` the event is stored once, however often the same owner sends it to the
    same topic with this key. With None every call stores it.
    """

    topic: TopicName
    type: str
    data: Any
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """The result of publishing one event: its `id`.

    `replayed` is true if an earlier request with the same idempotency key had stored it.
    """

    id: EventId
    replayed: bool = False


Outcome = Published | ApiError
"""The result of one draft: what was stored, or the problem that says why it was not."""


@dataclass(slots=True)
class Publisher:
    """Publishes the events of all features.

    `max_event_bytes` limits the JSON of one event. `wake(topic)` makes the poller of this process
    read the topic at once. `wake_up_commands` makes the commands that wake other processes.
    """

    log: TopicLog
    catalogue: Catalogue
    metrics: Metrics
    max_event_bytes: int
    wake: Callable[[TopicName], None]
    wake_up_commands: WakeUpCommands

    async def publish(self, draft: Draft, *, owner: str) -> Published:
        """Store one event and return its id. Raises the `ApiError` that says why it was not stored.

        `owner` is the id of the user or part of the application that publishes. Idempotency keys of
        different owners are independent.
        """
        (outcome,) = await self.publish_many([draft], owner=owner)
        if isinstance(outcome, ApiError):
            raise outcome
        return outcome

    async def publish_many(self, drafts: Sequence[Draft], *, owner: str) -> list[Outcome]:
        """Store events and return an outcome for each, in the order of `drafts`. Nothing is raised.

        Events of one topic are stored in this order. Consecutive drafts without an idempotency key
        are sent in one request, and each draft with a key in a request of its own.
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
        """Store all of the events or none, and return their ids in the order of `drafts`.

        With a `key` they are stored once, however often `owner` sends the same key within `scope`;
        None stores them at every call. A scope is any text that is not a topic name, because topic
        names are the scopes of single events. Raises the `ApiError` that says why nothing was
        stored.
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
        """Count events that a feature has stored together with its own state, and wake readers.

        `topics` names the topic of each event, so a topic may be there more than once.
        """
        self.metrics.published.inc(len(topics))
        await self._announce(list(dict.fromkeys(topics)))

    async def publish_groups(
        self, groups: Mapping[str, Sequence[Draft]], *, owner: str, mark_ttl_s: int
    ) -> list[bool]:
        """Store groups of events, each group completely and only once in `mark_ttl_s` seconds.

        The keys of `groups` identify the groups of `owner`. Returns a bool for each group, in their
        order: True if it was stored now, False if it had been stored before. A draft that is
        refused is left out and logged. Raises `StoreUnavailable`.
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
        """Return the text to store, or the problem for which the draft is refused."""
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
        """Return the ids, and whether they were stored before. Raises `ApiError`."""
        fingerprint = digest_of(*chain.from_iterable(entries))
        try:
            stored = await self.log.append_once(entries, key=key, fingerprint=fingerprint)
        except RedisError as error:
            raise _problem(error) from error
        if stored.fingerprint != fingerprint:
            raise IdempotencyKeyReused
        self.metrics.published.inc(0 if stored.replayed else len(entries))
        # Also for a repeat: the first request may have failed after storing and before waking.
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
