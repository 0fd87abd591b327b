"""Takes invocations and answers them as long as the process lives."""

import asyncio
import os
from typing import Any

import structlog

from functions.runtime.api import RuntimeApi
from functions.runtime.exchange import App, Exchange
from functions.runtime.failure import Failure
from functions.runtime.invocation import TRACE_ID, Invocation
from functions.runtime.request import NotHttpEvent, read

log = structlog.get_logger()


async def serve(app: App, api: RuntimeApi, *, at_once: int, state: dict[str, Any]) -> None:
    """Answer up to `at_once` invocations at a time. It ends only by an exception."""
    async with asyncio.TaskGroup() as tasks:
        for _ in range(at_once):
            tasks.create_task(_take_turns(app, api, state, is_alone=at_once == 1))


async def _take_turns(app: App, api: RuntimeApi, state: dict[str, Any], *, is_alone: bool) -> None:
    queue = api.queue()
    try:
        while True:
            invocation = await queue.next()
            if is_alone and invocation.trace_id:
                # AWS's tracing tools read it here. Beside other invocations it could be theirs.
                os.environ["_X_AMZN_TRACE_ID"] = invocation.trace_id
            await _answer(app, api, invocation, state)
    finally:
        queue.close()


async def _answer(app: App, api: RuntimeApi, invocation: Invocation, state: dict[str, Any]) -> None:
    trace = TRACE_ID.set(invocation.trace_id)
    bound = {"aws_request_id": invocation.aws_request_id, "trace_id": invocation.trace_id}
    with structlog.contextvars.bound_contextvars(**bound):
        try:
            scope, body = read(invocation)
        except NotHttpEvent as error:
            log.warning("invocation.not_http")
            await api.fail(invocation, Failure.of(error))
        else:
            scope["state"] = dict(state)
            await Exchange(api, invocation, body).run(app, scope)
        finally:
            TRACE_ID.reset(trace)
