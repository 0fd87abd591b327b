"""What a client asks to read. It is the same for streams and for JSON answers."""

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
    """Which topics and event types a reader wants, and the form of its frames.

    `types` None means all types. With `named` the frames have `event:` lines. Readers with equal
    selections get the same bytes.
    """

    topics: tuple[TopicName, ...]
    types: frozenset[str] | None
    named: bool

    def shows(self, event: Event) -> bool:
        """Return whether the reader is sent this event.

        Its cursor also moves over events that it is not.
        """
        return self.types is None or event.type in self.types


class Newest(Protocol):
    """A function of a feature that chooses the history with which a new reader begins.

    It is called once with all topics of the reader and returns pages as `TopicLog.newest` does,
    each with at most `limit` events, oldest first; the reader goes on after `LogPage.end`. A topic
    without a page starts now. Because a feature may leave events out, a reader cannot go on from
    the middle of such a history: it begins again if it was cut off there or asks for one more
    topic.
    """

    async def __call__(
        self, topics: Sequence[TopicName], /, *, limit: int
    ) -> dict[TopicName, LogPage]: ...


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """What to read and from where.

    A topic that `cursor` does not name is read from now on, after the `history` newest events of
    all such topics together; `cursor` None names no topic. `newest` chooses these events; None
    takes the newest of the logs. `charge` is called with the number of topics that were never used,
    before a first entry is written for them; it may raise `RateLimited` instead.
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
        """Build the request for `topics`, which are sorted and of which repeated ones are dropped.

        `types` are event types separated by commas; None or an empty text means all types.
        """
        shown = frozenset(filter(None, types.split(","))) if types else None
        selection = Selection(tuple(sorted(set(topics))), shown, named)
        return cls(selection, cursor, history, newest, charge)

    @property
    def topics(self) -> tuple[TopicName, ...]:
        """The topics of the selection, sorted and without repetition."""
        return self.selection.topics
