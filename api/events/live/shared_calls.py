"""Lets callers that ask at the same time share one call, so that many connects cost one command.

This is known as "single flight", but for sets of keys: those who come during a call share the next.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


@dataclass(slots=True, eq=False)
class _Round(Generic[K, V]):
    """The keys that callers of the same call want, and its answers."""

    wanted: set[K] = field(default_factory=set)
    asked: set[K] = field(default_factory=set)
    answers: dict[K, V] = field(default_factory=dict)


class SharedCalls(Generic[K, V]):
    """Calls `ask` with the keys of all callers that came while the call before was under way.

    `ask` returns a mapping and leaves out the keys that have no answer. If it fails, only the
    caller that made the call gets the exception; those who waited for it make calls of their own.
    Await the object itself: `answers = await calls(keys)`.
    """

    def __init__(self, ask: Callable[[AbstractSet[K]], Awaitable[Mapping[K, V]]]) -> None:
        self._ask = ask
        self._lock = asyncio.Lock()
        self._next: _Round[K, V] = _Round()

    async def __call__(self, keys: AbstractSet[K]) -> dict[K, V]:
        """The answers for `keys`; keys without one are left out. Raises what `ask` raises."""
        mine = self._next
        mine.wanted |= keys
        async with self._lock:
            if not keys <= mine.asked:
                if self._next is mine:
                    self._next = _Round()  # for those who come from here on
                wanted, mine.wanted = mine.wanted | keys, set()
                mine.answers |= await self._ask(wanted)
                mine.asked |= wanted
        return {key: mine.answers[key] for key in keys if key in mine.answers}
