"""Builds the HTTP answers about jobs: ETags, hints when to ask again, and bodies. No I/O."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from litestar import Response

from api.jobs.model.job import Job
from api.jobs.model.view import PollHints, job_view, retry_after_s
from api.jobs.store.cache import KnownJob
from api.jobs.store.listing import JobsPage
from api.payloads.responses import json_response, page_response

VARY = "Authorization, Origin"
REVALIDATE = "private, no-cache"
# For held answers: with a cacheable one open, Chromium delays equal requests until it ends.
NO_STORE = "no-store"
LIST = "private, no-cache, stale-if-error=60"

MAX_DIGITS = 16  # a version has fewer

_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,6})\"?\s*(?=$|[,;])", re.IGNORECASE)
_TAG = re.compile(r'(?:W/)?"([^"]*)"')


def preferred_wait_s(prefer: str | None) -> int:
    """Return the seconds that `Prefer: wait=N` asks for (RFC 7240, section 4.3); 0 without it."""
    found = _WAIT.search(prefer or "")
    return int(found[1]) if found else 0


def etag_of(seen: KnownJob) -> str:
    """Return the ETag of a job: its version, and its place in the queue while that is known.

    It is weak, because the hints in two answers with one ETag may differ.
    """
    place = f".{seen.position}" if seen.job.is_queued and seen.position is not None else ""
    return f'W/"{seen.job.version}{place}"'


def etag_of_all(jobs: Iterable[Job], *others: str) -> str:
    """Return a weak ETag over the ids and versions of several jobs, and over `others`."""
    pairs = [f"{job.id}:{job.version}" for job in jobs]
    digest = blake2b("\n".join([*pairs, *others]).encode(), digest_size=12).hexdigest()
    return f'W/"{digest}"'


def matches(if_none_match: str | None, etag: str) -> bool:
    """Return whether `If-None-Match` names `etag`, by the weak comparison of RFC 9110, 13.1.2."""
    return _opaque(etag)[0] in _opaque(if_none_match)


def version_in(if_none_match: str | None) -> int | None:
    """Return the version of the job that `If-None-Match` names; None if it names none."""
    versions = [tag.partition(".")[0] for tag in _opaque(if_none_match)]
    return next((found for one in versions if (found := version_of(one)) is not None), None)


def version_of(last_event_id: str | None) -> int | None:
    """Return the version that `Last-Event-ID` names; None if it is absent or no version."""
    text = last_event_id or ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < MAX_DIGITS else None


def polling_headers(poll_after_ms: int, *, done: bool) -> dict[str, str]:
    """Build the headers that say when to ask again, also on a 304, which has no body."""
    headers = {"Vary": VARY, "X-Poll-After-Ms": str(poll_after_ms)}
    if not done:
        headers["Retry-After"] = str(retry_after_s(poll_after_ms))
    return headers


def soonest_ms(hints: Sequence[int]) -> int:
    """Return the shortest of the hints that are not 0; 0 if all are, as all jobs are done."""
    return min((hint for hint in hints if hint), default=0)


@dataclass(frozen=True, slots=True)
class JobAnswers:
    """Builds answers with jobs; `hints` says when clients should ask for each job again."""

    hints: PollHints

    def job(self, known: KnownJob, status: int, headers: Mapping[str, str]) -> Response[Any]:
        """Build the answer with the state of one job. `headers` win over the usual ones."""
        all_headers = self._headers(known) | dict(headers)
        hint = int(all_headers["X-Poll-After-Ms"])
        content = job_view(known.job, position=known.position, poll_after_ms=hint)
        return json_response(content, all_headers, status=status)

    def unchanged(self, known: KnownJob, headers: Mapping[str, str]) -> Response[Any]:
        """Build the 304 for a client that has this state of the job. `headers` win as in `job`."""
        return Response(None, status_code=304, headers=self._headers(known) | dict(headers))

    def some(
        self, jobs: Sequence[Job], missing: Sequence[str], if_none_match: str | None
    ) -> Response[Any]:
        """Build the answer to a request for several ids: the jobs, and the ids that are `missing`.

        It is a 304 if `if_none_match` names the same jobs in the same versions.
        """
        hint = soonest_ms([self.hints.poll_after_ms(job) for job in jobs])
        etag = etag_of_all(jobs, *missing)
        headers = {
            **polling_headers(hint, done=not hint),
            "ETag": etag,
            "Cache-Control": REVALIDATE,
        }
        if matches(if_none_match, etag):
            return Response(None, status_code=304, headers=headers)
        content = {"data": self._views(jobs), "missing": missing, "poll_after_ms": hint}
        return json_response(content, headers)

    def page(self, page: JobsPage, if_none_match: str | None) -> Response[Any]:
        """Build the answer with a page of jobs; a 304 if `if_none_match` names that page."""
        etag = etag_of_all(page.jobs, page.next_cursor or "")
        headers = {"ETag": etag, "Vary": VARY, "Cache-Control": LIST}
        if matches(if_none_match, etag):
            return Response(None, status_code=304, headers=headers)
        return page_response(self._views(page.jobs), page.next_cursor, headers)

    def _headers(self, known: KnownJob) -> dict[str, str]:
        hint = self.hints.poll_after_ms(known.job, position=known.position)
        return {
            **polling_headers(hint, done=known.job.is_done),
            "ETag": etag_of(known),
            "Cache-Control": REVALIDATE,
        }

    def _views(self, jobs: Sequence[Job]) -> list[Mapping[str, Any]]:
        return [job_view(job, poll_after_ms=self.hints.poll_after_ms(job)) for job in jobs]


def _opaque(tags: str | None) -> list[str]:
    return _TAG.findall(tags or "")
