"""The chunks that some readers of a cohort have not taken yet."""

from collections import deque
from collections.abc import Iterator
from itertools import islice


class Overrun(Exception):
    """Raised when the chunk that a reader needs was dropped: the reader was too slow."""


class Backlog:
    """The encoded chunks that the slow readers of a cohort still need, numbered from zero.

    All of them share one backlog, and each keeps only the number of its next chunk. The backlog is
    empty while no reader is slow, and holds at most `max_bytes` after `trim`.
    """

    __slots__ = ("_bytes", "_chunks", "_first", "max_bytes")

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._chunks: deque[bytes] = deque()
        self._first = 0
        self._bytes = 0

    @property
    def next(self) -> int:
        """The number that the next appended chunk will get."""
        return self._first + len(self._chunks)

    @property
    def first(self) -> int:
        """The number of the oldest chunk that is still here; equal to `next` if there is none."""
        return self._first

    def since(self, number: int) -> Iterator[bytes]:
        """Yield the chunks from `number` on. They must all still be here."""
        return islice(self._chunks, number - self._first, None)

    def append(self, chunk: bytes) -> None:
        """Add a chunk, which gets the number `next`. Nothing is dropped before `trim`."""
        self._chunks.append(chunk)
        self._bytes += len(chunk)

    def trim(self) -> None:
        """Drop the oldest chunks until the rest has at most `max_bytes`."""
        while self._bytes > self.max_bytes:
            self._bytes -= len(self._chunks.popleft())
            self._first += 1

    def clear(self) -> None:
        """Drop all chunks. The numbers are not used again."""
        self._first = self.next
        self._chunks.clear()
        self._bytes = 0

    def take(self, number: int, max_bytes: int) -> tuple[bytes, int]:
        """Return the chunks from `number` on as one text, and the number of the chunk after them.

        Takes as many as fit into `max_bytes`, but at least one if there is one. Raises `Overrun` if
        the chunk `number` was dropped.
        """
        if number < self._first:
            raise Overrun
        taken: list[bytes] = []
        size = 0
        for index in range(number - self._first, len(self._chunks)):
            chunk = self._chunks[index]
            if taken and size + len(chunk) > max_bytes:
                break
            taken.append(chunk)
            size += len(chunk)
        return b"".join(taken), number + len(taken)
