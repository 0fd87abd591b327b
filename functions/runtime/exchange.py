"""One invocation as one ASGI request, whose answer is streamed."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from functions.runtime import failure as failures
from functions.runtime.api import ANSWER_S, RuntimeApi, check
from functions.runtime.failure import Failure
from functions.runtime.invocation import Invocation
from functions.runtime.prelude import prelude
from functions.runtime.response import ResponseStream

App = Callable[[Any, Any, Any], Awaitable[None]]

# At its deadline Lambda kills the process and cuts the response. So long before it
DISCONNECT_S = 1.5  # the application is told that its client is gone,
CANCEL_S = 0.75  # it is cancelled,
LEAVE_S = 0.25  # and it is waited for no longer.

log = structlog.get_logger()


class Exchange:
    """Runs the application for one request, and always tells Lambda how it ended."""

    def __init__(self, api: RuntimeApi, invocation: Invocation, body: bytes) -> None:
        self._api = api
        self._invocation = invocation
        self._body: bytes | None = body
        self._response: ResponseStream | None = None
        # Set when nobody reads any more: all is sent, Lambda closed, or the deadline is near.
        self._gone = asyncio.Event()

    async def run(self, app: App, scope: dict[str, Any]) -> None:
        """Return when the application has ended and Lambda has taken the answer.

        Raises RuntimeApiError and OSError when Lambda is gone.
        """
        running = asyncio.ensure_future(_ended(app(scope, self._receive, self._send)))
        try:
            failure = await self._outcome(running)
            await self._conclude(failure)
        finally:
            running.cancel()
            if self._response is not None:
                await self._response.close()

    async def _receive(self) -> dict[str, Any]:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        """Pass a message on. As in any server, what a client that left was to get is dropped."""
        if self._gone.is_set():
            return
        try:
            await self._pass_on(message)
        except ConnectionError:
            self._gone.set()

    async def _pass_on(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            head = prelude(message["status"], message.get("headers", ()))
            self._response = await self._api.respond(self._invocation, head, on_lost=self._gone.set)
        elif message["type"] == "http.response.body" and self._response is not None:
            await self._response.write(message.get("body", b""))
            if not message.get("more_body", False):
                await self._response.end()
                self._gone.set()
        else:
            raise RuntimeError(f"unexpected {message['type']}")

    async def _outcome(self, running: asyncio.Future[None]) -> Failure | None:
        """Wait for the application, but not beyond the deadline. Returns what would be reported."""
        is_late = False
        for early_s, step in (
            (DISCONNECT_S, self._gone.set),
            (CANCEL_S, running.cancel),
            (LEAVE_S, lambda: log.error("invocation.stuck")),
        ):
            left_s = max(0.0, self._invocation.left_s - early_s)
            if (await asyncio.wait([running], timeout=left_s))[0]:
                break
            is_late = True
            step()
        if is_late:
            log.warning("invocation.late")
            return failures.CUT
        if running.cancelled() or (error := running.exception()) is None:
            return failures.UNANSWERED
        log.error("invocation.failed", exc_info=error)
        return Failure.of(error)

    async def _conclude(self, failure: Failure | None) -> None:
        response = self._response
        if response is None:
            await self._api.fail(self._invocation, failure or failures.UNANSWERED)
            return
        async with asyncio.timeout(ANSWER_S):
            if not response.is_ended:
                await self._cut(response, failure)
            answer = await response.answer()
        if answer is None or not check(answer):
            log.warning("response.refused", status=answer.status if answer else 0)

    async def _cut(self, response: ResponseStream, failure: Failure | None) -> None:
        try:
            await response.end(failure)
        except ConnectionError:
            log.info("response.lost")


async def _ended(work: Awaitable[None]) -> None:
    """Wait for the application. An exit in it must not end the loop and all other responses."""
    try:
        await work
    except (SystemExit, KeyboardInterrupt) as error:
        raise RuntimeError(f"the application raised {type(error).__name__}") from error
