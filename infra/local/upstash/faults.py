"""Faults that tests switch on: which requests fail, how, and how often."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum

import msgspec
from msgspec import UNSET, UnsetType

UNTIL_CLEARED = -1


class Fault(StrEnum):
    """Faults with a count, in the order in which they are tried. A request gets one at most."""

    SILENT = "silent"
    """Never executed, never answered."""
    BAD_GATEWAY = "bad_gateway"
    """Not executed; 502 with HTML, as a proxy in between writes it."""
    QUOTA = "quota"
    """Not executed; 400 as for a database over its monthly limit."""
    LOSE_REPLIES = "lose_replies"
    """Executed; the connection closes without an answer."""
    CUT = "cut"
    """Executed; the connection closes after half of the body."""


class FaultChange(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `PUT /_local/faults`. What it does not name stays as it is."""

    rtt_ms: float | UnsetType = UNSET
    throttle_ms: float | UnsetType = UNSET
    refuse: bool | UnsetType = UNSET
    cut_subscribers: bool = False
    silent: int | UnsetType = UNSET
    bad_gateway: int | UnsetType = UNSET
    quota: int | UnsetType = UNSET
    lose_replies: int | UnsetType = UNSET
    cut: int | UnsetType = UNSET
    only: list[str] | None = None
    """Command names that the counts of this same change are for; None is all."""


@dataclass(slots=True)
class _Count:
    left: int
    only: frozenset[str] | None

    def takes(self, names: list[str]) -> bool:
        if self.left == 0 or (self.only is not None and self.only.isdisjoint(names)):
            return False
        if self.left != UNTIL_CLEARED:
            self.left -= 1
        return True


class Faults:
    """The faults in force."""

    def __init__(self) -> None:
        self._reset()
        self.released = asyncio.Event()
        """Set when the faults that are in force now are cleared. Take it before `take`."""

    def change(self, change: FaultChange) -> None:
        if not isinstance(change.rtt_ms, UnsetType):
            self._rtt_s = change.rtt_ms / 1000
        if not isinstance(change.throttle_ms, UnsetType):
            self._throttle_s = change.throttle_ms / 1000
        if not isinstance(change.refuse, UnsetType):
            self.refuse = change.refuse
        only = None if change.only is None else frozenset(map(str.upper, change.only))
        for fault in Fault:
            count: int | UnsetType = getattr(change, fault)
            if not isinstance(count, UnsetType):
                self._counts[fault] = _Count(count, only)

    def clear(self) -> None:
        """Switch all faults off. Requests that `silent` holds are let go."""
        self._reset()
        self.released.set()
        self.released = asyncio.Event()

    def take(self, names: list[str]) -> Fault | None:
        """The fault for a request with these commands, whose count is lowered; None if none."""
        for fault, count in self._counts.items():
            if count.takes(names):
                return fault
        return None

    async def way_in(self) -> None:
        """Wait as long as a request is to take until it is admitted."""
        if wait_s := self._throttle_s + self._rtt_s / 2:
            await asyncio.sleep(wait_s)

    async def way_back(self) -> None:
        """Wait as long as a reply is to take."""
        if self._rtt_s:
            await asyncio.sleep(self._rtt_s / 2)

    def _reset(self) -> None:
        self._rtt_s = 0.0
        self._throttle_s = 0.0
        self.refuse = False
        self._counts = {fault: _Count(0, None) for fault in Fault}
