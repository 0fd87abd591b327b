"""What a team writes to have jobs done: a handler, what it is given, and the list of them."""

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
MAX_NUMBER: Final = 2**53 - 1  # what JavaScript counts to


def text_of(value: object, most: int = MAX_MESSAGE_CHARS) -> str:
    """A handler's text as it can be stored: plain, at most so long. Raises `TypeError`."""
    if not isinstance(value, str):
        raise TypeError(f"a text is needed, not {type(value).__name__}")
    return plain(value)[:most]


def number_of(value: Any) -> float:
    """A handler's number, of whatever size. Raises `TypeError`."""
    if not isinstance(value, Real | Decimal):
        raise TypeError(f"a number is needed, not {type(value).__name__}")
    try:
        return float(value)
    except OverflowError:
        return inf if value == abs(value) else -inf


def count_of(value: Any) -> int:
    """A handler's whole number. Raises `TypeError`, `ValueError`."""
    count = index(value)
    if abs(count) > MAX_NUMBER:
        raise ValueError("a number is needed that JavaScript can count to")
    return count


@dataclass(slots=True)
class Report:
    """The newest of what a handler reported; `news` is set while it is not written yet."""

    progress: Progress | None = None
    step: Step | None = None
    message: str | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self) -> Transition:
        """The transition that writes all of it. If the write fails, set `news` again."""
        self.news.clear()
        progress, step, message = self.progress, self.step, self.message
        return lambda job: job.progressed(progress, step=step, message=message)


@dataclass(slots=True)
class JobContext:
    """One attempt at a job, as its handler sees it.

    Reports cost the handler no time: they are written beside it, a few in a second at most,
    and the last one before the attempt ends. A cancel sets `is_cancelled` and raises
    `asyncio.CancelledError` at the handler's next await: clean up, and let it pass.

    `deadline` is a time of `monotonic`. Texts are cut at 200 characters, and what UTF-8 cannot
    hold is replaced by U+FFFD. All methods raise `TypeError` for a value of a wrong type.
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
        """Seconds until the handler is told to stop; 0 when that time has come."""
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


JOB_TYPE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}", re.ASCII)

I = TypeVar("I", bound=BaseModel)  # noqa: E741  # input
R = TypeVar("R", bound=BaseModel)


class JobFailed(Exception):
    """Raised by a handler: the attempt has failed, and the job's owner may read why.

    `code` is for programs, up to 200 characters; `detail` has up to 2,000. Without `retryable`
    no further attempt is made. Raises `TypeError` for what is no text.
    """

    def __init__(self, code: str, detail: str, *, retryable: bool = False) -> None:
        super().__init__(code)
        self.code = text_of(code)
        self.detail = text_of(detail, MAX_DETAIL_CHARS)
        self.retryable = retryable


class NotAJobError(TypeError):
    """Something was registered as a handler that is none, such as a plain function."""


@dataclass(frozen=True, slots=True)
class JobHandler(Generic[I, R]):
    """One type of job, its models, and the function that does it.

    An attempt may last `timeout_s`, and a job has up to `max_attempts` of them. `summary` is for
    the documents.
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
    """Make a function the handler of jobs of type `name`. Register it to have it run.

    `summary` is for the documents; else the first line of the docstring. Raises `ValueError`
    for a name, attempts or a time that cannot be.
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
    """A request for a job whose input is right: the JSON to store, and the attempts to make."""

    input_json: str
    max_attempts: int


class Registry:
    """The types of job that this process knows: the handlers by name."""

    def __init__(self) -> None:
        self._handlers: dict[str, JobHandler[Any, Any]] = {}

    def add(self, handler: object) -> None:
        """Have jobs of this type done by `handler`.

        Raises `ValueError` for a second one, and `NotAJobError` for what `job` has not made.
        """
        if not isinstance(handler, JobHandler):
            name = getattr(handler, "__name__", type(handler).__name__)
            raise NotAJobError(f"{name} is not a job handler: put @job(...) above its definition")
        if handler.name in self._handlers:
            raise ValueError(f"job type {handler.name!r} is registered twice")
        self._handlers[handler.name] = handler

    def find(self, name: str) -> JobHandler[Any, Any] | None:
        """The handler of this type of job; None for a type that this process does not know."""
        return self._handlers.get(name)

    def all(self) -> Sequence[JobHandler[Any, Any]]:
        """The handlers, sorted by name."""
        return sorted(self._handlers.values(), key=lambda one: one.name)

    def check(self, type_: str, value: Any) -> CheckedInput:
        """Check a request. Raises `ValidationFailed`: `type`, or fields below `input`.

        The JSON is the caller's own: what a model writes need not be what it reads.
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
