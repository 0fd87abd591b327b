"""The endpoints of `/api/jobs`."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from api.controllers import bound
from api.events import (
    AnyRequest,
    Conn,
    Events,
    EventStream,
    IdempotencyHeader,
    PageCursor,
    admit_long_poll,
    admit_stream,
    require_stream_accepted,
)
from api.jobs.callers.service import JobRequest, Jobs
from api.jobs.callers.watch import JobWatch
from api.jobs.http import answers
from api.jobs.http.answers import JobAnswers
from api.jobs.http.models import JobBody, JobPage, JobsView, JobTypesView, JobTypeView
from api.jobs.http.parameters import (
    MAX_IDS,
    After,
    Ids,
    IfNoneMatch,
    LastVersion,
    LastVersionInQuery,
    Limit,
    Prefer,
    PreferDone,
    Status,
    Type,
    Wait,
)
from api.jobs.http.stream import JobStream
from api.jobs.model.problems import JobExpired, JobNotFound, JobWithoutResult, NotRetryable
from api.jobs.model.view import PATH, JobView, PollHints
from api.jobs.store.cache import KnownJob
from api.jobs.store.listing import JobFilter
from api.payloads.responses import JSON
from api.problems import (
    OF_STREAMS,
    BadRequest,
    ForeignOrigin,
    IdempotencyKeyReused,
    InvalidCursor,
    OverConnectionLimit,
    RateLimited,
)
from api.security.grants import require_ticket
from api.security.principal import Principal

MAX_PREFERRED_S = 20

# For the OpenAPI document: the problems of each handler beside those that all handlers have.
READING = {"problems": (JobNotFound, JobExpired, OverConnectionLimit)}
LISTING = {"problems": (InvalidCursor,)}
CREATING = {"problems": (ForeignOrigin, IdempotencyKeyReused, JobExpired, RateLimited)}
CANCELING = {"problems": (ForeignOrigin, JobNotFound, JobExpired)}
RETRYING = {"problems": (ForeignOrigin, JobNotFound, JobExpired, NotRetryable)}
TAKING = {"problems": (JobNotFound, JobExpired, JobWithoutResult)}
STREAMING = {"problems": (JobNotFound, JobExpired, *OF_STREAMS), "takes_ticket": True}


@dataclass(frozen=True, slots=True)
class JobServices:
    """What the handlers of these endpoints call."""

    jobs: Jobs
    watch: JobWatch
    answers: JobAnswers
    events: Events

    def hold_s(self, request: AnyRequest, wanted_s: float) -> float:
        """Return for how many seconds an answer may be held: `wanted_s`, or less where we run."""
        return min(wanted_s, self.events.deadlines(request.scope).longest_hold_s)


class JobsController(Controller):
    """The endpoints of `/api/jobs`."""

    path = PATH
    tags = ("jobs",)
    services: JobServices

    @post(name="create_job", status_code=202, opt=CREATING)
    async def create(
        self,
        *,
        request: AnyRequest,
        data: JSONBody[JobBody],
        principal: NamedDependency[Principal],
        idempotency_key: IdempotencyHeader = None,
        prefer: PreferDone = None,
    ) -> Response[JobView]:
        """Create a job, and answer 202 with its state and address.

        With `Prefer: wait=N` the answer is 200 if the job is done within N seconds. With an
        Idempotency-Key the job is created once, however often the request is sent.
        """
        self.services.events.security.publish_rate.take(principal.id)
        wanted = JobRequest(data.type, data.input, idempotency_key)
        seen, replayed = await self.services.jobs.create(principal, wanted)
        headers = {"Location": f"{PATH}/{seen.job.id}"}
        if replayed:
            headers["Idempotency-Replayed"] = "true"
        wait_s = min(answers.preferred_wait_s(prefer), MAX_PREFERRED_S)
        if wait_s:
            seen = await self._waited(request, principal, seen, wait_s)
            if seen.job.is_done:
                headers["Preference-Applied"] = f"wait={wait_s}"
                return self.services.answers.job(seen, 200, headers)
        return self.services.answers.job(seen, 202, headers)

    @get("/{job_id:str}", name="read_job", opt=READING)
    async def read(
        self,
        *,
        request: AnyRequest,
        job_id: FromPath[str],
        principal: NamedDependency[Principal],
        wait: Wait = 0,
        after: After = None,
        prefer: Prefer = None,
        if_none_match: IfNoneMatch = None,
    ) -> Response[JobView]:
        """Return the state of a job, for its owner and admins; 304 if the client has it already.

        With `wait` the answer is held until the job has another version than `after`.
        """
        seen = await self.services.jobs.get(principal, job_id)
        preferred_s = answers.preferred_wait_s(prefer)
        wait_s = wait or min(preferred_s, MAX_PREFERRED_S)
        if not wait_s:
            return await self._conditional(seen, if_none_match, {})
        headers = {"Cache-Control": answers.NO_STORE}
        if not wait:
            headers["Preference-Applied"] = f"wait={wait_s}"
        known = answers.version_in(if_none_match) if after is None else after
        if seen.job.version == known and not seen.job.is_done:
            hold_s = self.services.hold_s(request, wait_s)
            async with admit_long_poll(request, self.services.events, principal):
                changed = await self.services.watch.changed(seen, within_s=hold_s)
            if changed is None:
                return self.services.answers.unchanged(seen, headers)
            seen = changed
        return await self._conditional(seen, if_none_match, headers)

    @get(name="list_jobs", opt=LISTING)
    async def list_(
        self,
        *,
        principal: NamedDependency[Principal],
        ids: Ids = None,
        status: Status = None,
        type_: Type = None,
        cursor: PageCursor = None,
        limit: Limit = 50,
        if_none_match: IfNoneMatch = None,
    ) -> Response[JobsView | JobPage]:
        """List the jobs that `ids` names; without it, a page of the caller's jobs, newest first."""
        if ids is not None:
            return await self._some(principal, ids, if_none_match)
        page = await self.services.jobs.page(
            principal, JobFilter(status, type_), cursor=cursor, limit=limit
        )
        return self.services.answers.page(page, if_none_match)

    @get("/types", name="list_job_types")
    async def types(
        self,
        principal: NamedDependency[Principal],  # noqa: ARG002  # anybody who is signed in
    ) -> JobTypesView:
        """List the types of job that can be created, with schemas of their input and result."""
        return JobTypesView(data=list(map(JobTypeView.of, self.services.jobs.registry.all())))

    @post("/{job_id:str}/cancel", name="cancel_job", status_code=202, opt=CANCELING)
    async def cancel(
        self, job_id: FromPath[str], principal: NamedDependency[Principal]
    ) -> Response[JobView]:
        """Cancel a job that waits, or ask a running one to stop; 200 if it was done already."""
        seen, was_done = await self.services.jobs.cancel(principal, job_id)
        return self.services.answers.job(seen, 200 if was_done else 202, {})

    @post("/{job_id:str}/retry", name="retry_job", status_code=202, opt=RETRYING)
    async def retry(
        self, job_id: FromPath[str], principal: NamedDependency[Principal]
    ) -> Response[JobView]:
        """Queue a job again, under the same id, that has failed, expired or been canceled."""
        seen = await self.services.jobs.retry(principal, job_id)
        return self.services.answers.job(seen, 202, {"Location": f"{PATH}/{seen.job.id}"})

    @get("/{job_id:str}/result", name="read_job_result", opt=TAKING)
    async def result(
        self, job_id: FromPath[str], principal: NamedDependency[Principal]
    ) -> Response[Any]:
        """Return the result of a job that has succeeded, whatever its size."""
        text = await self.services.jobs.result(principal, job_id)
        headers = {"Vary": answers.VARY, "Cache-Control": answers.REVALIDATE}
        return Response(text.encode(), media_type=JSON, headers=headers)

    @get("/{job_id:str}/events", name="stream_job", opt=STREAMING)
    async def events(
        self,
        *,
        request: AnyRequest,
        job_id: FromPath[str],
        principal: NamedDependency[Principal],
        last_event_id: LastVersion = None,
        last_id_in_query: LastVersionInQuery = None,
        conn: Conn = None,
    ) -> EventStream | Response[None]:
        """Stream the states of a job until it is done; 204 if the client has that last state."""
        services = self.services
        # Checked first: a ticket for another topic must not tell whether there is such a job.
        require_ticket(principal, [f"job:{job_id}"])
        seen = await services.jobs.get(principal, job_id)
        require_stream_accepted(request, f"{PATH}/{seen.job.id}")
        version = answers.version_of(last_event_id or last_id_in_query)
        if seen.job.is_done and version == seen.job.version:
            return Response(None, status_code=204)

        def session(deadline: Any) -> Any:
            return JobStream(
                services.events.streaming,
                services.watch,
                services.answers.hints,
                seen.job.id,
                version=version,
                deadline=deadline,
                expires_at=principal.expires_at,
            ).run

        return await admit_stream(request, services.events, session, principal=principal, conn=conn)

    async def _waited(
        self, request: AnyRequest, principal: Principal, seen: KnownJob, wait_s: float
    ) -> KnownJob:
        """Return the new job when it is done, or as it is after `wait_s` seconds."""
        hold_s = self.services.hold_s(request, wait_s)
        # Over the limit the answer comes at once: the job exists, and `Prefer` is only a wish.
        with suppress(OverConnectionLimit):
            async with admit_long_poll(request, self.services.events, principal):
                return await self.services.watch.done(seen, within_s=hold_s)
        return seen

    async def _some(
        self, principal: Principal, ids: str, if_none_match: str | None
    ) -> Response[Any]:
        wanted = list(dict.fromkeys(filter(None, ids.split(","))))
        if len(wanted) > MAX_IDS:
            message = f"{MAX_IDS} ids at most"
            raise BadRequest(errors=[{"field": "ids", "message": message}])
        jobs, missing = await self.services.jobs.get_many(principal, wanted)
        return self.services.answers.some(jobs, missing, if_none_match)

    async def _conditional(
        self, seen: KnownJob, if_none_match: str | None, headers: Mapping[str, str]
    ) -> Response[Any]:
        # The client has this version: a command for the place in the queue is spared.
        if seen.lacks_position and answers.version_in(if_none_match) == seen.job.version:
            return self.services.answers.unchanged(seen, headers)
        seen = await self.services.jobs.with_position(seen)
        if answers.matches(if_none_match, answers.etag_of(seen)):
            return self.services.answers.unchanged(seen, headers)
        return self.services.answers.job(seen, 200, headers)


def job_routes(
    jobs: Jobs, watch: JobWatch, hints: PollHints, events: Events
) -> list[type[Controller]]:
    """Return the controllers of jobs, bound to what they call."""
    services = JobServices(jobs, watch, JobAnswers(hints), events)
    return [bound(JobsController, services=services)]
