"""An application's start-up, once for the life of the process."""

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
    """Run the app's start-up on the loop that will serve it; what it keeps goes into `state`.

    The task holds the application started for as long as the process lives; keep a reference
    to it. One that raises an `Exception` before it has answered knows no lifespan (ASGI's words)
    and is served all the same. Raises LifespanError, and what else ends the application: an
    exit, or a panic of a compiled extension.
    """
    # The error, if any, is the result: a loop that runs until a future has an exit as its
    # exception never stops, as it takes the exit for one that has already stopped it.
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
    """Run the application to its end; `started` has an outcome then, whatever happened."""
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
