"""Starts an application once for the life of the process, by ASGI's lifespan protocol.

Source: https://asgi.readthedocs.io/en/latest/specs/lifespan.html
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

log = structlog.get_logger()


class LifespanError(RuntimeError):
    """The application refused to start."""


def start_once(
    app: Callable[[Any, Any, Any], Awaitable[None]],
    loop: asyncio.AbstractEventLoop,
    state: dict[str, Any] | None = None,
) -> asyncio.Task[None]:
    """Run the start-up of `app` on the loop that will serve it. It may keep things in `state`.

    The returned task keeps the application started, and must be kept referenced. By ASGI's rules
    an application that raises an `Exception` before it has answered knows no lifespan, and is
    served nevertheless. Raises LifespanError when it refuses to start, and anything else that
    ends it, such as an exit or a panic of a compiled extension.
    """
    # An error is the result and not the exception of this future: `run_until_complete` would
    # not stop at a SystemExit, which it takes for one that has stopped the loop already.
    started: asyncio.Future[BaseException | None] = loop.create_future()
    messages = iter([{"type": "lifespan.startup"}])

    async def receive() -> Any:
        for message in messages:
            return message
        return await loop.create_future()

    async def send(message: Any) -> None:
        if message["type"] == "lifespan.startup.complete":
            started.set_result(None)
        elif message["type"] == "lifespan.startup.failed":
            started.set_result(LifespanError(message.get("message", "")))

    scope: Any = {"type": "lifespan", "asgi": {"version": "3.0"}}
    scope["state"] = {} if state is None else state
    task = loop.create_task(_hold(lambda: app(scope, receive, send), started))
    if (error := loop.run_until_complete(started)) is not None:
        raise error
    return task


async def _hold(
    run: Callable[[], Awaitable[None]], started: asyncio.Future[BaseException | None]
) -> None:
    """Run the application to its end. Then `started` has a result in any case."""
    try:
        await run()
    except Exception:
        if started.done():
            log.exception("lifespan.ended")
    except BaseException as error:
        if started.done():
            raise
        started.set_result(error)
    finally:
        if not started.done():
            started.set_result(None)
