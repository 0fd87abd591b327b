"""Runs code that is not ours, such as a team's handlers and rules, which may raise any exception.

`sys.exit` and Ctrl-C would end the event loop, a panic in a Rust extension is a `BaseException`
that `except Exception` does not catch, and a library may let a cancellation of its own escape. All
of these become a `ForeignError`, which is an ordinary exception. A cancellation that comes from
outside of the foreign code stays a cancellation.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import Any, Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_IS_FOREIGN: Final = ContextVar("is_foreign", default=False)


class ForeignError(Exception):
    """Raised when foreign code raised something that is no `Exception`; see its `__cause__`."""


@contextmanager
def contained() -> Iterator[None]:
    """Turn every `BaseException` that is raised in the `with` block into a `ForeignError`.

    An `Exception` passes unchanged, and so does a cancellation that comes from outside.
    """
    task = _current_task()
    try:
        yield
    except Exception:
        raise
    except BaseException as error:
        if _is_from_outside(error, task):
            raise
        raise ForeignError(type(error).__name__) from error


async def result_of(work: Callable[P, Awaitable[T]], *args: P.args, **options: P.kwargs) -> T:
    """Await `work(*args, **options)` and return its result.

    Exceptions are turned as in `contained`.

    This holds for the tasks that `work` creates too: a task that ended by `SystemExit` or
    `KeyboardInterrupt` would end the event loop, even if nobody waits for that task. Raises
    `ForeignError`, and every `Exception` of `work`.
    """
    loop = asyncio.get_running_loop()
    if not isinstance(loop.get_task_factory(), _TaskFactory):
        loop.set_task_factory(_TaskFactory(loop.get_task_factory()))
    before = _IS_FOREIGN.set(True)
    try:
        with contained():
            return await work(*args, **options)
    finally:
        _IS_FOREIGN.reset(before)


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no event loop runs here
        return None


def _is_from_outside(error: BaseException, task: asyncio.Task[Any] | None) -> bool:
    """Whether the event loop raised it: the task is cancelled, or closed before its end."""
    if task is None:
        return False
    if isinstance(error, asyncio.CancelledError):
        return task.cancelling() > 0
    is_running = asyncio.current_task(task.get_loop()) is task
    return isinstance(error, GeneratorExit) and not is_running


class _TaskFactory:
    """Makes tasks as `inner` does (None is asyncio's way); those of foreign code are contained."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner or _made

    def __call__(self, loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> Any:
        context = options.get("context") or copy_context()
        is_foreign = context.get(_IS_FOREIGN, False)
        return self._inner(loop, _Contained(work) if is_foreign else work, **options)


def _made(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
    return asyncio.Task(work, loop=loop, **options)


class _Contained(Coroutine[Any, Any, Any]):
    """A coroutine around another one.

    An `async def` would leave the inner one unawaited where its task is cancelled before it
    begins, and Python warns of that.
    """

    def __init__(self, work: Coroutine[Any, Any, Any]) -> None:
        self._work = work

    def send(self, value: Any) -> Any:
        with contained():
            return self._work.send(value)

    def throw(self, *error: Any) -> Any:
        with contained():
            return self._work.throw(*error)

    def close(self) -> None:
        self._work.close()

    def __getattr__(self, name: str) -> Any:
        # Tools read more of a coroutine, as its name or its state (`inspect.getcoroutinestate`).
        return getattr(self._work, name)

    def __await__(self) -> Any:
        return self._work.__await__()
