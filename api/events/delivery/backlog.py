"""Encoded chunks that some readers have not taken yet, numbered from zero."""

from collections import deque
from collections.abc import Iterator
from itertools import islice


class Overrun(Exception):
    """The chunk is gone: the reader was too slow."""


class Backlog:
    """One backlog serves all readers of a cohort: each only remembers its next number.

    Holds at most `max_bytes`, and nothing while every reader keeps up.
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
        """The oldest number still held; equals `next` when nothing is."""
        return self._first

    def since(self, number: int) -> Iterator[bytes]:
        """The chunks from `number` on, which are all still held."""
        return islice(self._chunks, number - self._first, None)

    def append(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._bytes += len(chunk)

    def trim(self) -> None:
        """Drop the oldest chunks until the rest is within the limit."""
        while self._bytes > self.max_bytes:
            self._bytes -= len(self._chunks.popleft())
            self._first += 1

    def clear(self) -> None:
        self._first = self.next
        self._chunks.clear()
        self._bytes = 0

    def take(self, number: int, max_bytes: int) -> tuple[bytes, int]:
        """The chunks from `number` on, joined up to `max_bytes`, and the number after them.

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
