"""Encoded chunks that some readers have not taken yet, numbered from zero."""

from collections import deque
from collections.abc import Iterator
from itertools import islice


class Overrun(Exception):
    """The chunk that was asked for is gone: the reader was too slow."""


class Backlog:
    """The chunks that the slow readers of a cohort still need.

    One backlog serves all of them: each only remembers the number of its next chunk. It is
    empty while every reader keeps up, and holds at most `max_bytes` after `trim`.
    """

    __slots__ = ("_bytes", "_chunks", "_first", "max_bytes")

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._chunks: deque[bytes] = deque()
        self._first = 0
        self._bytes = 0

    @property
    def next(self) -> int:
        """The number that the next chunk will get."""
        return self._first + len(self._chunks)

    @property
    def first(self) -> int:
        """The number of the oldest chunk; equals `next` when there is none."""
        return self._first

    def since(self, number: int) -> Iterator[bytes]:
        """The chunks from `number` on, which must all still be there."""
        return islice(self._chunks, number - self._first, None)

    def append(self, chunk: bytes) -> None:
        """Add a chunk under the number `next`."""
        self._chunks.append(chunk)
        self._bytes += len(chunk)

    def trim(self) -> None:
        """Drop the oldest chunks until the rest is within `max_bytes`."""
        while self._bytes > self.max_bytes:
            self._bytes -= len(self._chunks.popleft())
            self._first += 1

    def clear(self) -> None:
        """Drop all chunks; the numbers go on."""
        self._first = self.next
        self._chunks.clear()
        self._bytes = 0

    def take(self, number: int, max_bytes: int) -> tuple[bytes, int]:
        """The chunks from `number` on, up to `max_bytes` in one text, and the number after them.

        At least one chunk if there is one. Raises `Overrun` when `number` is gone.
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
