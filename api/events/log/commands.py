"""What Redis says of a topic's entries, and how a part of them is asked for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import msgspec
import structlog

from api.events.event import Event, EventId
from api.events.topic import TopicName, log_key

EVENT_FIELD = "e"

log = structlog.get_logger()
Entry = tuple[EventId, dict[str, str]]


@dataclass(frozen=True, slots=True)
class Span:
    """What lies below `before` and above `after`; None is no bound."""

    before: EventId | None = None
    after: EventId | None = None

    @classmethod
    def between(
        cls,
        topic: TopicName,
        before: Mapping[TopicName, EventId],
        after: Mapping[TopicName, EventId],
    ) -> Self:
        return cls(before.get(topic), after.get(topic))

    def below(self, bound: EventId) -> "Span":
        return Span(bound, self.after)

    @property
    def is_empty(self) -> bool:
        """Whether nothing can be there; Redis refuses to look below its first id."""
        lowest = self.after.next() if self.after else EventId(0, 0)
        return self.before is not None and self.before <= lowest

    @property
    def bounds(self) -> tuple[str, str]:
        """From and to, as XREVRANGE takes them."""
        top = "+" if self.before is None else f"({self.before}"
        return top, "-" if self.after is None else f"({self.after}"


def xrevrange(topic: TopicName, span: Span, count: int) -> list[str | int]:
    """The command for the newest entries in `span`, newest first."""
    return ["XREVRANGE", log_key(topic), *span.bounds, "COUNT", count]


def entries_of(reply: Iterable[tuple[str, Sequence[str]]] | None) -> list[Entry]:
    """The entries of one stream in a reply; none where there is no reply."""
    return [
        (EventId.parse(entry_id), dict(zip(flat[::2], flat[1::2], strict=True)))
        for entry_id, flat in reply or ()
    ]


def events_of(topic: TopicName, entries: Iterable[Entry]) -> list[Event]:
    """The events among the entries; genesis entries are none."""
    events = []
    for event_id, fields in entries:
        if EVENT_FIELD not in fields:
            continue
        try:
            events.append(Event.of(event_id, topic, fields[EVENT_FIELD]))
        except (msgspec.DecodeError, RecursionError):  # somebody else's entry
            log.warning("log.foreign_entry", event_id=str(event_id))
    return events
