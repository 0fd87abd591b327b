"""The types of job that this deployment can do: what goes in, what comes out, and who does it."""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import msgspec
from pydantic import BaseModel, ValidationError

from api.jobs.context import JobContext
from api.jobs.given import MAX_DETAIL_CHARS, text_of
from api.jobs.kinds import JobKind, Order
from api.problems import ValidationFailed, field_errors

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
    """One type of job. An attempt has `timeout_s`; a job has `max_attempts` of them."""

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


class Registry:
    """The handlers by name."""

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
        return self._handlers.get(name)

    def kinds(self) -> Sequence[JobKind]:
        """All types, by name, with the models that tell their JSON schemas."""
        found = sorted(self._handlers.values(), key=lambda one: one.name)
        return [JobKind(one.name, one.summary, one.input, one.result) for one in found]

    def order(self, type_: str, value: Any) -> Order:
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
        return Order(msgspec.json.encode(value).decode(), handler.max_attempts)
