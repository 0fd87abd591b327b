"""Counts the commands that Upstash would bill.

Each command counts 1, in pipelines and transactions too. A script counts 1, and 1 for each command
that it calls. Those are found by the engine's statistics: the script runs in `MULTI ... EXEC`
between two `INFO commandstats`. Nothing else runs in a transaction, so their difference is the
script with its calls.
"""

from __future__ import annotations

from collections import Counter

from infra.local.upstash.resp import Command, Reply

STATS: Command = [b"INFO", b"commandstats"]


class Meter:
    """Counts by command name, in upper case, since the last reset."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, name: str) -> None:
        self._counts[name] += 1

    def add_all(self, bill: Counter[str]) -> None:
        self._counts.update(bill)

    def reset(self) -> None:
        self._counts.clear()

    def snapshot(self) -> dict[str, object]:
        """`{"billed": total, "commands": {name: count}}`."""
        return {"billed": self._counts.total(), "commands": dict(self._counts)}


def bill_between(before: Reply, after: Reply) -> Counter[str]:
    """The commands that ran between two replies to STATS, without the first STATS itself."""
    old = set(before.split()) if isinstance(before, bytes) else set()
    new = set(after.split()) if isinstance(after, bytes) else set()
    bill: Counter[str] = Counter()
    for line in new - old:
        name, calls = _calls(line)
        bill[name] += calls
    for line in old - new:
        name, calls = _calls(line)
        bill[name] -= calls
    bill["INFO"] -= 1
    return +bill


def _calls(line: bytes) -> tuple[str, int]:
    # cmdstat_xgroup|create:calls=1,usec=57,...
    if not line.startswith(b"cmdstat_"):
        return "", 0
    name, _, fields = line.removeprefix(b"cmdstat_").partition(b":calls=")
    return name.partition(b"|")[0].decode().upper(), int(fields.partition(b",")[0])
