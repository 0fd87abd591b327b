"""Job handlers: how one is declared, what it is given when it runs, and the registry of them."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from math import inf
from numbers import Real
from operator import index
from typing import Any, Final, Generic, TypeVar

import msgspec
from pydantic import BaseModel, ValidationError
from structlog.typing import FilteringBoundLogger

from api.jobs.model.job import MAX_MESSAGE_CHARS, JobId, Progress, Step, Transition
from api.payloads.models import plain
from api.problems import ValidationFailed, field_errors

MAX_DETAIL_CHARS: Final = 2000
MAX_NUMBER: Final = 2**53 - 1  # the largest whole number that JavaScript keeps exact


def text_of(value: object, most: int = MAX_MESSAGE_CHARS) -> str:
    """Return a handler's text as it can be stored: valid UTF-8, cut to `most` characters.

    Raises `TypeError` if `value` is not a text.
    """
    if not isinstance(value, str):
        raise TypeError(f"a text is needed, not {type(value).__name__}")
    return plain(value)[:most]


def number_of(value: Any) -> float:
    """Convert a handler's number to a float; a number too large for that becomes infinite.

    Raises `TypeError` if `value` is not a real number.
    """
    if not isinstance(value, Real | Decimal):
        raise TypeError(f"a number is needed, not {type(value).__name__}")
    try:
        return float(value)
    except OverflowError:
        return inf if value == abs(value) else -inf


def count_of(value: Any) -> int:
    """Convert a handler's whole number to an `int`.

    Raises `TypeError` if `value` is not a whole number, and `ValueError` if it is above
    `MAX_NUMBER` or below its negative.
    """
    count = index(value)
    if abs(count) > MAX_NUMBER:
        raise ValueError("a number is needed that JavaScript can count to")
    return count


@dataclass(slots=True)
class Report:
    """The newest progress, step and message that a handler has reported; None if it reported none.

    `news` is set while some of this is not written to the store yet.
    """

    progress: Progress | None = None
    step: Step | None = None
    message: str | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self) -> Transition:
        """Return the transition that writes the whole report, and clear `news`.

        If that write fails, the caller must set `news` again.
        """
        self.news.clear()
        progress, step, message = self.progress, self.step, self.message
        return lambda job: job.progressed(progress, step=step, message=message)


@dataclass(slots=True)
class JobContext:
    """What a handler is given for one attempt: facts about its job, and methods to report progress.

    A report does not wait for the store: the newest one is written in the background, at most four
    times a second, and the last one together with the end of the attempt. When the attempt must
    stop, `is_cancelled` becomes true and the handler's next await raises `asyncio.CancelledError`:
    clean up within 5 seconds, and let the exception pass.

    `attempt` counts from 1. `deadline` is a time of the clock `monotonic`, in seconds. Texts are
    cut at 200 characters, and what UTF-8 cannot hold is replaced by U+FFFD. The methods that report
    raise `TypeError` for a value of a wrong type.
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
        """Return the seconds until the handler is told to stop; 0 when that time has come."""
        return max(0.0, self.deadline - self.monotonic())

    async def progress(self, done: float, total: float, *, note: str | None = None) -> None:
        """Report that `done` of `total` units are done; a `note` becomes the job's message.

        Clients see a percentage, which never falls within an attempt.
        """
        self.report.progress = Progress(number_of(done), number_of(total))
        await self._tell(None if note is None else text_of(note))

    async def step(self, key: str, *, index: int, total: int, label: str) -> None:
        """Report that step `index` of `total`, counted from 1, has begun.

        `key` names the step for programs, `label` for people. Raises `ValueError` for an `index` or
        a `total` above 2**53 - 1.
        """
        self.report.step = Step(text_of(key), count_of(index), count_of(total), text_of(label))
        await self._tell(None)

    async def message(self, text: str) -> None:
        """Set the text that people see beside the job's state; it replaces the one before."""
        await self._tell(text_of(text))

    async def _tell(self, message: str | None) -> None:
        if message is not None:
            self.report.message = message
        self.report.news.set()
        # A handler that awaits nothing else would otherwise keep all others from running.
        await asyncio.sleep(0)


JOB_TYPE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}", re.ASCII)

I = TypeVar("I", bound=BaseModel)  # noqa: E741  # input
R = TypeVar("R", bound=BaseModel)


class JobFailed(Exception):
    """Raise this in a handler to fail the attempt with an error that the job's owner may read.

    `code` is for programs and is cut at 200 characters, `detail` is for people and is cut at 2,000.
    With `retryable` the job gets another attempt if it has one left; without it the job has failed
    for good. The constructor raises `TypeError` for what is no text.
    """

    def __init__(self, code: str, detail: str, *, retryable: bool = False) -> None:
        super().__init__(code)
        self.code = text_of(code)
        self.detail = text_of(detail, MAX_DETAIL_CHARS)
        self.retryable = retryable


class NotAJobError(TypeError):
    """Raised for a handler that the decorator `job` has not made, such as a plain function."""


@dataclass(frozen=True, slots=True)
class JobHandler(Generic[I, R]):
    """One type of job: its name, the function that does it, and the models of its input and result.

    Made by the decorator `job`. One attempt lasts `timeout_s` seconds at most. A job has at most
    `max_attempts` attempts, and as many again after each retry by its owner. `summary` describes
    the type in the API's documents.
    """

    name: str
    run: Callable[[JobContext, I], Awaitable[R]]
    input: type[I]
    result: type[R]
    max_attempts: int
    timeout_s: float
    summary: str

    async def __call__(self, context: JobContext, data: I) -> R:
        return await self.run(context, data)


def job(
    name: str,
    *,
    input: type[I],  # noqa: A002  # reads well where it is used
    result: type[R],
    max_attempts: int = 3,
    timeout_s: float = 300,
    summary: str = "",
) -> Callable[[Callable[[JobContext, I], Awaitable[R]]], JobHandler[I, R]]:
    """Decorate a function as the handler of jobs of type `name`.

    The handler has to be registered: an extension does that by `millrace.job(handler)`. `timeout_s`
    is the longest that one attempt may last, in seconds. `summary` describes the type in the API's
    documents; if it is empty, the first line of the function's docstring does. Raises `ValueError`
    if `name` is no valid type name, `max_attempts` is below 1 or `timeout_s` is not above 0.
    """
    if not JOB_TYPE.fullmatch(name):
        raise ValueError(f"{name!r} cannot be a type of job")
    if max_attempts < 1 or timeout_s <= 0:
        raise ValueError(f"job {name!r} needs at least one attempt and some time")

    def handler(run: Callable[[JobContext, I], Awaitable[R]]) -> JobHandler[I, R]:
        text = summary or (run.__doc__ or name).strip().splitlines()[0]
        return JobHandler(name, run, input, result, max_attempts, timeout_s, text)

    return handler


@dataclass(frozen=True, slots=True)
class CheckedInput:
    """The JSON of an input that its type accepts, and how many attempts that type has."""

    input_json: str
    max_attempts: int


class Registry:
    """The handlers that this process knows, by type of job."""

    def __init__(self) -> None:
        self._handlers: dict[str, JobHandler[Any, Any]] = {}

    def add(self, handler: object) -> None:
        """Register `handler` for the jobs of its type.

        Raises `ValueError` if the type has a handler already, and `NotAJobError` if `handler` was
        not made by `job`.
        """
        if not isinstance(handler, JobHandler):
            name = getattr(handler, "__name__", type(handler).__name__)
            raise NotAJobError(f"{name} is not a job handler: put @job(...) above its definition")
        if handler.name in self._handlers:
            raise ValueError(f"job type {handler.name!r} is registered twice")
        self._handlers[handler.name] = handler

    def find(self, name: str) -> JobHandler[Any, Any] | None:
        """Return the handler of this type of job; None if this process does not know the type."""
        return self._handlers.get(name)

    def all(self) -> Sequence[JobHandler[Any, Any]]:
        """Return all handlers, sorted by name."""
        return sorted(self._handlers.values(), key=lambda one: one.name)

    def check(self, type_: str, value: Any) -> CheckedInput:
        """Check the input of a requested job against the model of its type.

        The JSON that is returned is the caller's own, because what a model writes need not be what
        it reads. Raises `ValidationFailed`, whose errors name `type` if there is no such type, and
        otherwise the wrong fields below `input`.
        """
        handler = self._handlers.get(type_)
        if handler is None:
            known = ", ".join(sorted(self._handlers)) or "none"
            message = f"no such type of job; there are: {known}"
            raise ValidationFailed(errors=[{"field": "type", "message": message}])
        try:
            handler.input.model_validate(value)
        except ValidationError as error:
            raise ValidationFailed(errors=field_errors(error, within="input")) from error
        return CheckedInput(msgspec.json.encode(value).decode(), handler.max_attempts)
