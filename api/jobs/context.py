"""What a job handler is given: its place in the job's life, and a way to report."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from structlog.typing import FilteringBoundLogger

from api.jobs.given import count_of, number_of, text_of
from api.jobs.job import Job, JobId, Progress, Step


@dataclass(slots=True)
class Report:
    """The last words of a handler; `news` is set while some of them are not written yet."""

    progress: Progress | None = None
    step: Step | None = None
    message: str | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self) -> Callable[[Job], Job]:
        """The transition that writes it all. On failure set `news` again."""
        self.news.clear()
        progress, step, message = self.progress, self.step, self.message
        return lambda job: job.progressed(progress, step=step, message=message)


@dataclass(slots=True)
class JobContext:
    """One attempt at a job, as its handler sees it.

    Reports cost the handler no time: they are written beside it, a few in a second at most,
    and the last one before the attempt ends. A cancel sets `is_cancelled` and raises
    `asyncio.CancelledError` at the handler's next await: clean up, and let it pass.

    Texts are cut at 200 characters, and what UTF-8 cannot hold is replaced by U+FFFD. A value
    of a wrong type is refused with `TypeError` here, where it was given.
    """

    job_id: JobId
    owner: str
    attempt: int
    max_attempts: int
    log: FilteringBoundLogger
    deadline: float
    monotonic: Callable[[], float]
    report: Report
    is_cancelled: bool = False

    def left_s(self) -> float:
        """Seconds until the attempt is ended from outside."""
        return max(0.0, self.deadline - self.monotonic())

    async def progress(self, done: float, total: float, *, note: str | None = None) -> None:
        """`done` of `total` units are done; the percentage that clients see never falls."""
        self.report.progress = Progress(number_of(done), number_of(total))
        await self._tell(None if note is None else text_of(note))

    async def step(self, key: str, *, index: int, total: int, label: str) -> None:
        """Step `index` of `total` has begun, from 1; `key` is for programs, `label` for people."""
        self.report.step = Step(text_of(key), count_of(index), count_of(total), text_of(label))
        await self._tell(None)

    async def message(self, text: str) -> None:
        """A line for people, in place of the one before."""
        await self._tell(text_of(text))

    async def _tell(self, message: str | None) -> None:
        if message is not None:
            self.report.message = message
        self.report.news.set()
        # A handler that never awaits anything else would keep all others from running.
        await asyncio.sleep(0)
