"""What Upstash would bill. Its rules, and how a script's inner commands are found.

Each command counts 1, in pipelines and transactions too. A script counts 1 plus each command
it really called. Those are read from the engine's own statistics: the script runs inside
`MULTI ... EXEC` between two `INFO commandstats`, and since nothing else runs inside a
transaction, their difference is exactly the script and its calls, however many callers there are.
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
    """The commands that ran between two answers to STATS, the first STATS not counted."""
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
