"""An event loop whose time jumps to the next timer, so that tests of hours take milliseconds."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any


class LeapLoop(asyncio.SelectorEventLoop):
    """A loop that never waits. When nothing is ready, the time is the next timer's. No network."""

    def __init__(self) -> None:
        super().__init__()
        self._now_s = 0.0
        look = self._selector.select  # type: ignore[attr-defined]

        def leap(timeout: float | None) -> Any:
            if timeout is None:
                raise RuntimeError("everything waits and no timer is set")
            self._now_s += timeout
            return look(0)

        self._selector.select = leap  # type: ignore[attr-defined]

    def time(self) -> float:
        return self._now_s


def leaping(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test on a `LeapLoop`."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        with asyncio.Runner(loop_factory=LeapLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run


async def turns(count: int = 5) -> None:
    """Let all tasks run that are ready. No time passes."""
    for _ in range(count):
        await asyncio.sleep(0)
