"""A response that is streamed to Lambda: its chunks, and trailers if it fails after its head."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Self

import structlog

from functions.runtime import failure as failures
from functions.runtime.connection import Answer, Connection, LostError
from functions.runtime.failure import Failure
from functions.runtime.prelude import DELIMITER

ACCEPTED = 202
HEADERS = {
    # Each response has a connection, which Lambda closes after the last byte.
    "Connection": "close",
    "Content-Type": "application/vnd.awslambda.http-integration-response",
    "Lambda-Runtime-Function-Response-Mode": "streaming",
    "Trailer": f"{failures.TYPE}, {failures.BODY}",  # undeclared ones may not be sent
    "Transfer-Encoding": "chunked",
}

log = structlog.get_logger()


class ResponseStream:
    """A response that `begin` has begun. It calls `on_lost` when nobody reads, and at the end."""

    def __init__(self, connection: Connection, on_lost: Callable[[], None]) -> None:
        self._connection = connection
        self._answering = asyncio.create_task(connection.answer())
        self._answering.add_done_callback(lambda _: on_lost())
        self.is_empty = True
        self.is_ended = False

    @classmethod
    async def begin(
        cls,
        address: str,
        path: str,
        headers: Mapping[str, str],
        prelude: bytes,
        *,
        on_lost: Callable[[], None],
    ) -> Self:
        """Send the head of a response. Raises OSError."""
        connection = await Connection.open(address)
        connection.write_head("POST", path, {**HEADERS, **headers})
        # Three chunks: with the delimiter and the first bytes in one, a flush may be late.
        connection.write(_chunk(prelude))
        connection.write(_chunk(DELIMITER))
        return cls(connection, on_lost)

    async def write(self, body: bytes) -> None:
        """Send one chunk, and wait while Lambda does not read. Raises ConnectionError."""
        if body:  # an empty chunk would be the end
            self.is_empty = False
            self._connection.write(_chunk(body))
        await self._connection.drain()

    async def end(self, failure: Failure | None = None) -> None:
        """Send the end, with a failure in trailers, which callers of the streaming API see."""
        if self.is_empty:
            # Gateways wait for a body until the invocation times out.
            await self.write(b"\n")
        self.is_ended = True
        self._connection.write(b"0\r\n%b\r\n" % (failure.trailers() if failure else b""))
        await self._connection.drain()

    async def answer(self) -> Answer | None:
        """Lambda's answer to the response; None if it closed the connection."""
        try:
            return await asyncio.shield(self._answering)
        except LostError:
            return None

    async def close(self) -> None:
        self._answering.cancel()
        await asyncio.wait([self._answering])
        self._connection.close()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
