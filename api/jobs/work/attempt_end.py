"""What the end of an attempt makes of its job: pure, so that every case can be seen at once.

Times are milliseconds since 1970.
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
    """The pause before the next attempt: doubled with each, and jittered.

    `first_s` is the longest before the second attempt; `chance` gives a number from 0 to 1.
    """

    first_s: float
    chance: Callable[[], float]

    def after(self, attempt: int) -> float:
        """Seconds to wait after attempt number `attempt`, from 1."""
        longest_s = min(LONGEST_BACKOFF_S, self.first_s * 2.0 ** min(attempt - 1, 30))
        return longest_s * (0.5 + 0.5 * self.chance())


def succeeded(at_ms: int) -> Transition:
    """The handler has a result."""
    return lambda job: job.succeeded(at_ms)


def failed(error: JobError, at_ms: int, backoff: Backoff) -> Transition:
    """Queued for its next attempt where there is one, and where that may help."""

    def end(job: Job) -> Job:
        if job.cancel_requested:
            return job.canceled(at_ms)
        if not (error.retryable and job.has_attempts_left):
            return job.failed(at_ms, error)
        delay_ms = int(backoff.after(job.attempt) * 1000)
        return job.requeued(at_ms, next_attempt_ms=at_ms + delay_ms)

    return end


def stopped(reason: StopReason, at_ms: int, backoff: Backoff) -> Transition:
    """The handler was told to stop. An attempt that its worker stopped does not count."""
    if reason is StopReason.CANCELED:
        return lambda job: job.canceled(at_ms)
    if reason is StopReason.TIMED_OUT:
        return failed(TIMED_OUT, at_ms, backoff)
    return lambda job: job.canceled(at_ms) if job.cancel_requested else job.returned(at_ms)


def error_of(error: BaseException, ref: str) -> JobError:
    """What the owner reads. A foreign exception's text may quote anything, and stays in logs."""
    if isinstance(error, JobFailed):
        return JobError(
            text_of(error.code),
            "The job has failed",
            text_of(error.detail, MAX_DETAIL_CHARS),
            retryable=bool(error.retryable),
        )
    return handler_error(ref)


def handler_error(ref: str) -> JobError:
    """What the owner reads of a handler that broke; `ref` is in the logs beside the cause."""
    return JobError("handler-error", "The job's handler has failed", retryable=True, ref=ref)


def invalid_input(fields: list[dict[str, str]]) -> JobError:
    """The handler's model refuses the input, which an older process had accepted."""
    detail = "; ".join(f"{one['field']}: {one['message']}" for one in fields)
    return JobError("invalid-input", "The handler does not understand the input", detail[:500])


def too_large(size: int, most: int) -> JobError:
    """The result has `size` bytes as JSON, and may have `most`."""
    detail = f"The result has {size} bytes as JSON; {most} are allowed."
    return JobError("result-too-large", "The result is too large to be kept", detail)


def json_of(value: Any, handler: JobHandler[Any, Any]) -> str:
    """The JSON of what a handler returned, on one line.

    Raises `TypeError` for what the handler has not declared, and whatever its model raises.
    """
    if not isinstance(value, BaseModel) or not isinstance(value, handler.result):
        raise TypeError(f"a job of type {handler.name} returned another type than it declares")
    # A model may write NaN, which no JSON parser of a browser reads. This raises for it.
    return msgspec.json.format(value.model_dump_json(by_alias=True), indent=-1)
