"""What a client asked to read, however it gets it: as a held stream or as one JSON answer."""

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
    """Chooses the history of a new reader, as `TopicLog.newest` does, for all topics together.

    `LogPage.end` is where the reader goes on; `LogPage.events` are of what stands up to there,
    oldest first. A topic without a page starts now. Since events may be left out, none that is chosen
    is a place to go on from: a reader cut among them, or new to one of its topics, begins anew.
    """

    async def __call__(
        self, topics: Sequence[TopicName], /, *, limit: int
    ) -> dict[TopicName, LogPage]: ...


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """Topics to read, and from where: `cursor` None starts now, with `history` newest events.

    `newest` chooses which events these are; None means the newest of the log. `charge` is told
    how many topics without any entry are begun for this reader.
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
        return self.selection.topics
