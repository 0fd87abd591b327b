"""Counts Redis commands as Upstash bills them, for the metric and for a budget."""

from collections import Counter
from collections.abc import Iterable


class CommandMeter:
    """Counts billed commands by name, since the process began.

    Each command of a pipeline or transaction counts, a script counts as EVAL plus every command it
    calls, SUBSCRIBE and PUBLISH count once (Upstash: pricing, ratelimit costs).
    """

    def __init__(self) -> None:
        self.commands: Counter[str] = Counter()

    def add(self, names: Iterable[str]) -> None:
        """Count commands that Redis has run, by name; a name may come several times."""
        self.commands.update(names)

    @property
    def billed(self) -> int:
        """How many commands Upstash has billed so far."""
        return self.commands.total()
