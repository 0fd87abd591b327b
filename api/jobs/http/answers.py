"""The HTTP of job states: validators, hints, what a client prefers, and the answers. No I/O."""

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
from api.payloads.responses import json_response

VARY = "Authorization, Origin"
REVALIDATE = "private, no-cache"
# A held answer must not be cached at all: Chromium would queue its like behind it.
NO_STORE = "no-store"
LIST = "private, no-cache, stale-if-error=60"

MAX_DIGITS = 16

_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,6})\"?\s*(?=$|[,;])", re.IGNORECASE)
_TAG = re.compile(r'(?:W/)?"([^"]*)"')


def preferred_wait_s(prefer: str | None) -> int:
    """What `Prefer: wait=N` asks for (RFC 7240), in seconds; 0 if it does not."""
    found = _WAIT.search(prefer or "")
    return int(found[1]) if found else 0


def etag_of(seen: KnownJob) -> str:
    """Weak, because hints vary; with the place in the queue while there is one."""
    place = f".{seen.position}" if seen.job.is_queued and seen.position is not None else ""
    return f'W/"{seen.job.version}{place}"'


def etag_of_all(jobs: Iterable[Job], *others: str) -> str:
    """Over the ids and versions of several jobs, and whatever else the answer says."""
    pairs = [f"{job.id}:{job.version}" for job in jobs]
    digest = blake2b("\n".join([*pairs, *others]).encode(), digest_size=12).hexdigest()
    return f'W/"{digest}"'


def matches(if_none_match: str | None, etag: str) -> bool:
    """Whether the client has what `etag` names; compared weakly (RFC 9110, section 13.1.2)."""
    return _opaque(etag)[0] in _opaque(if_none_match)


def version_in(if_none_match: str | None) -> int | None:
    """The version of the job that the client has; None if it does not say."""
    versions = [tag.partition(".")[0] for tag in _opaque(if_none_match)]
    return next((found for one in versions if (found := version_of(one)) is not None), None)


def version_of(last_event_id: str | None) -> int | None:
    """The version that a stream's client has; None if it has none, or what is no version."""
    text = last_event_id or ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < MAX_DIGITS else None


def polling_headers(poll_after_ms: int, *, done: bool) -> dict[str, str]:
    """When to ask again, for clients that see headers only, as on a 304."""
    headers = {"Vary": VARY, "X-Poll-After-Ms": str(poll_after_ms)}
    if not done:
        headers["Retry-After"] = str(retry_after_s(poll_after_ms))
    return headers


def soonest_ms(hints: Sequence[int]) -> int:
    """When to ask for several jobs at once: 0 when all are done."""
    return min((hint for hint in hints if hint), default=0)


@dataclass(frozen=True, slots=True)
class JobAnswers:
    """Answers with jobs; each says when to ask again, as `hints` has it."""

    hints: PollHints

    def job(self, known: KnownJob, status: int, headers: Mapping[str, str]) -> Response[Any]:
        """The state of one job. `headers` win over the usual ones."""
        all_headers = self._headers(known) | dict(headers)
        hint = int(all_headers["X-Poll-After-Ms"])
        content = job_view(known.job, position=known.position, poll_after_ms=hint)
        return json_response(content, all_headers, status=status)

    def unchanged(self, known: KnownJob, headers: Mapping[str, str]) -> Response[Any]:
        """304: the client has this state of the job."""
        return Response(None, status_code=304, headers=self._headers(known) | dict(headers))

    def some(
        self, jobs: Sequence[Job], missing: Sequence[str], if_none_match: str | None
    ) -> Response[Any]:
        """The jobs that were asked for by `ids`; 304 when the client has all of it."""
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
        """A page of the caller's jobs; 304 when the client has it."""
        etag = etag_of_all(page.jobs, page.next_cursor or "")
        headers = {"ETag": etag, "Vary": VARY, "Cache-Control": LIST}
        if matches(if_none_match, etag):
            return Response(None, status_code=304, headers=headers)
        content = {
            "data": self._views(page.jobs),
            "next_cursor": page.next_cursor,
            "has_more": page.next_cursor is not None,
        }
        return json_response(content, headers)

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
