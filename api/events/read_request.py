"""What a client asks to read, whether it is answered with a stream or with JSON."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from api.events.cursor import Cursor
from api.events.event import Event
from api.events.log.page import LogPage
from api.events.topic import TopicName
from api.security.rates import Charge, free


@dataclass(frozen=True, slots=True)
class Selection:
    """The topics, the event types (None for all of them), and whether frames have `event:` lines.

    Readers with equal selections get the same bytes.
    """

    topics: tuple[TopicName, ...]
    types: frozenset[str] | None
    named: bool

    def shows(self, event: Event) -> bool:
        """Whether the reader is sent this event; its cursor moves over the others too."""
        return self.types is None or event.type in self.types


class Newest(Protocol):
    """Chooses the history that a new reader begins with, for all its topics together.

    Returns pages as `TopicLog.newest` does: `LogPage.events` oldest first, and `LogPage.end`
    where the reader goes on. A topic without a page starts now. A feature may leave events out,
    so a reader cannot go on from the middle of what was chosen: one that was cut off there, or
    asks for one topic more, begins anew.
    """

    async def __call__(
        self, topics: Sequence[TopicName], /, *, limit: int
    ) -> dict[TopicName, LogPage]: ...


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """What to read, and from where: `cursor` None starts now, with `history` newest events.

    `newest` chooses which events these are; None means the newest of the logs. `charge` is told
    how many topics without any entry are written for this reader, and may raise instead.
    """

    selection: Selection
    cursor: Cursor | None
    history: int = 0
    newest: Newest | None = None
    charge: Charge = free

    @classmethod
    def of(
        cls,
        topics: Iterable[TopicName],
        cursor: Cursor | None,
        *,
        types: str | None = None,
        named: bool = True,
        history: int = 0,
        newest: Newest | None = None,
        charge: Charge = free,
    ) -> Self:
        """The request for `topics`; `types` are event types, comma separated, None for all."""
        shown = frozenset(filter(None, types.split(","))) if types else None
        selection = Selection(tuple(sorted(set(topics))), shown, named)
        return cls(selection, cursor, history, newest, charge)

    @property
    def topics(self) -> tuple[TopicName, ...]:
        """The topics of the selection, sorted, each once."""
        return self.selection.topics
