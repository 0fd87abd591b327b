"""Reads the jobs of a user, page by page."""

import base64
import binascii
from dataclasses import dataclass

from api.jobs.model.job import Job, JobId, JobStatus, created_ms_of, find_job_id
from api.jobs.store import layout
from api.jobs.store.store import JobStore
from api.problems import InvalidCursor

SCANS = 10  # for one page at most
SCANNED_AT_ONCE = 100  # jobs, where some may not pass the filter


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which of a user's jobs are wanted, by status and by type; None accepts any."""

    status: JobStatus | None = None
    type: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether every job passes."""
        return self.status is None and self.type is None

    def passes(self, job: Job) -> bool:
        """Return whether the job is wanted."""
        return self.status in (None, job.status) and self.type in (None, job.type)


@dataclass(frozen=True, slots=True)
class JobsPage:
    """A page of a user's jobs, newest first. `next_cursor` is None if this is the last one."""

    jobs: list[Job]
    next_cursor: str | None


async def read_page(
    store: JobStore, owner: str, wanted: JobFilter, *, cursor: str | None, limit: int
) -> JobsPage:
    """Return the page of `owner`'s jobs after `cursor`: `limit` jobs at most that `wanted` accepts.

    `cursor` None begins with the newest job. A bounded number of jobs is looked at, so a page may
    hold fewer than `limit` although there is a next one. Raises `InvalidCursor`.
    """
    before = _read(cursor) if cursor else None
    at_once = limit + 1 if wanted.is_open else SCANNED_AT_ONCE
    found: list[Job] = []
    for _ in range(SCANS):
        ids = await ids_of(store, owner, before, at_once)
        jobs = await store.find_many(ids)
        found += [jobs[one] for one in ids if one in jobs and wanted.passes(jobs[one])]
        if len(found) > limit:
            return JobsPage(found[:limit], _write(found[limit - 1].id))
        if len(ids) < at_once:
            return JobsPage(found, None)
        before = ids[-1]
    return JobsPage(found, _write(before) if before else None)


async def ids_of(store: JobStore, owner: str, before: JobId | None, limit: int) -> list[JobId]:
    """Return up to `limit` ids of a user's jobs, newest first.

    Only jobs that were created before the job `before` are listed; None lists from the newest.
    """
    top: int | str = created_ms_of(before) if before else "+inf"
    found: list[JobId] = []
    offset, is_end = 0, False
    while len(found) < limit and not is_end:
        page: list[str] = await store.redis.read(
            *("ZRANGE", layout.owner_key(owner), top, "-inf", "BYSCORE", "REV"),
            *("LIMIT", offset, limit + 1),
        )
        # Jobs of one millisecond are in the order of their ids.
        found += [JobId(one) for one in page if before is None or one < before]
        offset += len(page)
        is_end = len(page) <= limit
    return found[:limit]


def _write(job_id: JobId) -> str:
    return base64.urlsafe_b64encode(job_id.encode()).rstrip(b"=").decode()


def _read(cursor: str) -> JobId:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        job_id = find_job_id(base64.urlsafe_b64decode(padded.encode()).decode())
    except (binascii.Error, UnicodeError) as error:
        raise InvalidCursor from error
    if job_id is None:
        raise InvalidCursor
    return job_id
