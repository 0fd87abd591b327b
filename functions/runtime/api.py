"""The Runtime API of Lambda, which gives out invocations and takes the answers.

Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import asyncio
from collections.abc import Callable, Mapping

from functions.runtime.connection import Answer, Connection
from functions.runtime.failure import TYPE, Failure
from functions.runtime.invocation import Invocation
from functions.runtime.response import ResponseStream

BASE = "/2018-06-01/runtime"
INVOCATION_ID = "Lambda-Runtime-Invocation-Id"
OK, ACCEPTED, BROKEN = 200, 202, 500
ANSWER_S = 5.0


class RuntimeApiError(Exception):
    """Lambda has refused to go on with this process, which has to exit."""


class RuntimeApi:
    """The API at `address`, the value of AWS_LAMBDA_RUNTIME_API. It keeps no connection open."""

    def __init__(self, address: str) -> None:
        self._address = address

    def queue(self) -> "InvocationQueue":
        """A new queue of invocations with a connection of its own."""
        return InvocationQueue(self._address)

    async def respond(
        self, invocation: Invocation, prelude: bytes, *, on_lost: Callable[[], None]
    ) -> ResponseStream:
        """Begin a streamed response. Calls `on_lost` when nobody reads it. Raises OSError."""
        path = f"{BASE}/invocation/{invocation.aws_request_id}/response"
        return await ResponseStream.begin(
            self._address, path, _echo(invocation), prelude, on_lost=on_lost
        )

    async def fail(self, invocation: Invocation, failure: Failure) -> None:
        """Report the failure of an invocation whose response has not begun."""
        path = f"{BASE}/invocation/{invocation.aws_request_id}/error"
        await self._report(path, failure, _echo(invocation))

    async def fail_to_start(self, failure: Failure) -> None:
        """Report that the process could not start."""
        await self._report(f"{BASE}/init/error", failure)

    async def until_restored(self) -> None:
        """Return in a restored copy of the process. The snapshot is taken while this waits."""
        answer = await self._call("GET", f"{BASE}/restore/next", {}, b"")
        if answer.status != OK:
            raise RuntimeApiError(f"restore/next: {answer.status}")

    async def fail_to_restore(self, failure: Failure) -> None:
        """Report that a restored copy could not continue."""
        await self._report(f"{BASE}/restore/error", failure)

    async def _report(
        self, path: str, failure: Failure, headers: Mapping[str, str] | None = None
    ) -> None:
        kind = {TYPE: failure.kind, "Content-Type": "application/json"}
        async with asyncio.timeout(ANSWER_S):
            answer = await self._call("POST", path, {**(headers or {}), **kind}, failure.json())
        check(answer)

    async def _call(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes
    ) -> Answer:
        connection = await Connection.open(self._address)
        try:
            size = {"Content-Length": str(len(body))} if body else {}
            connection.write_head(method, path, {"Connection": "close", **size, **headers})
            connection.write(body)
            return await connection.answer()
        finally:
            connection.close()


class InvocationQueue:
    """Waits for one invocation at a time, on a connection that stays open."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._connection: Connection | None = None

    async def next(self) -> Invocation:
        """The next invocation. It has no time-out, because the process is frozen while it waits.

        Raises RuntimeApiError when Lambda refuses, and OSError when it is gone.
        """
        if self._connection is None or self._connection.is_ended:
            self._connection = await Connection.open(self._address)
        self._connection.write_head("GET", f"{BASE}/invocation/next", {})
        answer = await self._connection.answer()
        if answer.status != OK:
            raise RuntimeApiError(f"invocation/next: {answer.status}")
        return Invocation.of(answer)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


def check(answer: Answer) -> bool:
    """Whether Lambda has accepted. Raises RuntimeApiError when the process has to exit."""
    if answer.status >= BROKEN:
        raise RuntimeApiError(f"status {answer.status}")
    return answer.status == ACCEPTED


def _echo(invocation: Invocation) -> Mapping[str, str]:
    if invocation.invocation_id is None:
        return {}
    return {INVOCATION_ID: invocation.invocation_id}
