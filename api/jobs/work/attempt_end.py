"""Decides what becomes of a job when an attempt ends, without I/O.

Times (`at_ms`) are milliseconds since 1970.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from pydantic import BaseModel

from api.jobs.model.handlers import MAX_DETAIL_CHARS, JobFailed, JobHandler, text_of
from api.jobs.model.job import Job, JobError, Transition
from api.jobs.work.attempt import StopReason

LONGEST_BACKOFF_S = 300.0
TIMED_OUT = JobError("timed-out", "The attempt took too long", retryable=True)


@dataclass(frozen=True, slots=True)
class Backoff:
    """The pause before the next attempt: its longest value doubles with each attempt, up to 300 s.

    `first_s` is the longest pause before the second attempt, in seconds. The pause is drawn between
    half of the longest and the longest; `chance` returns a random number from 0 to 1 for that.
    """

    first_s: float
    chance: Callable[[], float]

    def after(self, attempt: int) -> float:
        """Return the seconds to wait after attempt number `attempt`, counted from 1."""
        longest_s = min(LONGEST_BACKOFF_S, self.first_s * 2.0 ** min(attempt - 1, 30))
        return longest_s * (0.5 + 0.5 * self.chance())


def succeeded(at_ms: int) -> Transition:
    """Return the transition for an attempt whose handler has returned a result."""
    return lambda job: job.succeeded(at_ms)


def failed(error: JobError, at_ms: int, backoff: Backoff) -> Transition:
    """Return the transition for an attempt that failed with `error`.

    The job is canceled if that was requested. Otherwise it is queued for its next attempt, if
    `error` is retryable and an attempt is left, or has failed for good.
    """

    def end(job: Job) -> Job:
        if job.cancel_requested:
            return job.canceled(at_ms)
        if not (error.retryable and job.has_attempts_left):
            return job.failed(at_ms, error)
        delay_ms = int(backoff.after(job.attempt) * 1000)
        return job.requeued(at_ms, next_attempt_ms=at_ms + delay_ms)

    return end


def stopped(reason: StopReason, at_ms: int, backoff: Backoff) -> Transition:
    """Return the transition for an attempt whose handler was told to stop.

    `CANCELED` cancels the job, `TIMED_OUT` is a failed attempt. An attempt that ended because its
    worker ends does not count.
    """
    if reason is StopReason.CANCELED:
        return lambda job: job.canceled(at_ms)
    if reason is StopReason.TIMED_OUT:
        return failed(TIMED_OUT, at_ms, backoff)
    return lambda job: job.canceled(at_ms) if job.cancel_requested else job.returned(at_ms)


def error_of(error: BaseException, ref: str) -> JobError:
    """Return what the job's owner may read of an exception that the handler raised.

    Only the text of a `JobFailed` is shown. That of any other exception may quote anything, so it
    goes to the logs alone, beside `ref`.
    """
    if isinstance(error, JobFailed):
        return JobError(
            text_of(error.code),
            "The job has failed",
            text_of(error.detail, MAX_DETAIL_CHARS),
            retryable=bool(error.retryable),
        )
    return handler_error(ref)


def handler_error(ref: str) -> JobError:
    """Return the error for a handler that broke; `ref` is in the logs beside the cause."""
    return JobError("handler-error", "The job's handler has failed", retryable=True, ref=ref)


def invalid_input(fields: list[dict[str, str]]) -> JobError:
    """Return the error for a stored input that the handler's model refuses.

    An older process had accepted it. `fields` has a `field` and a `message` for each wrong value.
    """
    detail = "; ".join(f"{one['field']}: {one['message']}" for one in fields)
    return JobError("invalid-input", "The handler does not understand the input", detail[:500])


def too_large(size: int, most: int) -> JobError:
    """Return the error for a result of `size` bytes as JSON, where `most` are allowed."""
    detail = f"The result has {size} bytes as JSON; {most} are allowed."
    return JobError("result-too-large", "The result is too large to be kept", detail)


def json_of(value: Any, handler: JobHandler[Any, Any]) -> str:
    """Encode what a handler returned as JSON on one line.

    Raises `TypeError` if it is not of the declared type, and whatever its model raises.
    """
    if not isinstance(value, BaseModel) or not isinstance(value, handler.result):
        raise TypeError(f"a job of type {handler.name} returned another type than it declares")
    # A model may write NaN, which no JSON parser of a browser reads. This raises for it.
    return msgspec.json.format(value.model_dump_json(by_alias=True), indent=-1)
