"""Repeats a request to the API while the server is away."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from api.cli.client import Away

SHORTEST_S = 0.5
LONGEST_S = 10.0

T = TypeVar("T")


@dataclass(slots=True)
class Patience:
    """Repeats a request until it is answered, for up to `limit_s` seconds after the last answer.

    The very first request is not repeated, so that a wrong address is reported at once. `say` is
    called with a line of text when the server goes away, and when it is back.
    """

    limit_s: float
    say: Callable[[str], None]
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    rng: random.Random = field(default_factory=random.Random)
    _answered_at: float | None = None

    def ask(self, question: Callable[[], T]) -> T:
        """Call `question` until it does not raise `Away`, and return what it returns.

        Raises `Away` when the time is over. Any other exception is raised at once.
        """
        pause_s = SHORTEST_S
        is_told = False
        while True:
            try:
                answer = question()
            except Away as away:
                if self._is_spent():
                    raise
                if not is_told:
                    self.say("The server does not answer; trying again.")
                    is_told = True
                self.sleep(max(away.retry_after_s, pause_s * self.rng.uniform(0.5, 1.0)))
                pause_s = min(2 * pause_s, LONGEST_S)
            else:
                if is_told:
                    self.say("The server is back.")
                self._answered_at = self.monotonic()
                return answer

    def _is_spent(self) -> bool:
        return self._answered_at is None or self.monotonic() - self._answered_at > self.limit_s
