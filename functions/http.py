"""The application behind API Gateway and Function URLs, buffered by Mangum.

A stream is answered as a window: what is new at once, else what comes first within
`MILLRACE_WINDOW_S`, then `bye` and a `retry:`. The same client code and the same cursor serve.
"""

import asyncio
from typing import Any

from litestar import Litestar
from mangum import Mangum
from mangum.adapter import DEFAULT_TEXT_MIME_TYPES

from api.app import create_app
from api.events.deadline import window
from api.problems import PROBLEM_MEDIA_TYPE
from api.settings import Settings
from api.telemetry import logs


class LifespanError(RuntimeError):
    """The application refused to start."""


def start_once(app: Litestar) -> asyncio.Task[None]:
    """Run the app's start-up now, on the loop that Mangum will use for every invocation.

    Mangum's own lifespan support starts and stops the app for each request. The task holds
    the application started for as long as the process lives; keep a reference to it.
    """
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    started: asyncio.Future[None] = loop.create_future()
    messages = iter([{"type": "lifespan.startup"}])

    async def receive() -> Any:
        for message in messages:
            return message
        return await loop.create_future()

    async def send(message: Any) -> None:
        if message["type"] == "lifespan.startup.complete":
            started.set_result(None)
        elif message["type"] == "lifespan.startup.failed":
            started.set_exception(LifespanError(message.get("message", "")))

    scope: Any = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    task: asyncio.Task[None] = loop.create_task(app(scope, receive, send))
    loop.run_until_complete(started)
    return task


settings = Settings.read()
logs.configure(settings)
app = create_app(settings, deadlines=window(settings.window_s))
lifespan = start_once(app)
# Problem documents are text; as base64 some gateways would hand them on undecoded.
TEXT = [*DEFAULT_TEXT_MIME_TYPES, PROBLEM_MEDIA_TYPE]
handler = Mangum(app, lifespan="off", text_mime_types=TEXT)  # type: ignore[arg-type]  # narrower
