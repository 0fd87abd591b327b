"""A context that keeps everything a handler reports."""

from __future__ import annotations

from dataclasses import dataclass, field

import structlog

from api.jobs.model.handlers import JobContext, Report
from api.jobs.model.job import JobId


@dataclass
class Recording(JobContext):
    """`steps` are (key, index, total) in their order; `parts` are done/total of each progress."""

    steps: list[tuple[str, int, int]] = field(default_factory=list)
    parts: list[float] = field(default_factory=list)

    async def progress(self, done: float, total: float, *, note: str | None = None) -> None:
        self.parts.append(done / total)
        await JobContext.progress(self, done, total, note=note)

    async def step(self, key: str, *, index: int, total: int, label: str) -> None:
        self.steps.append((key, index, total))
        await JobContext.step(self, key, index=index, total=total, label=label)


def recording(*, job_id: str = "job_1", attempt: int = 1) -> Recording:
    """A context whose deadline is far away."""
    return Recording(
        job_id=JobId(job_id),
        owner="alice",
        attempt=attempt,
        max_attempts=3,
        log=structlog.get_logger(),
        deadline=1e9,
        monotonic=lambda: 0.0,
        report=Report(),
    )
