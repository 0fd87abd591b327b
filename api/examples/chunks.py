"""Work for the processor: beside the event loop, and in pieces that can be stopped between."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Final

# A few ms of the examples' work: often enough to cancel, seldom enough to be fast.
ROWS: Final = 4_000
BYTES: Final = 1024 * 1024

Pieces = Generator[int]
"""Each step does one piece and yields how much is done."""


async def driven(pieces: Pieces, report: Callable[[int], Awaitable[object]]) -> None:
    """Do all `pieces` in threads, and `report` after each how much is done.

    When canceled it ends with the piece that runs: nothing of it goes on behind.
    """
    try:
        while (done := await _next(pieces)) is not None:
            await report(done)
    finally:
        pieces.close()


async def _next(pieces: Pieces) -> int | None:
    piece = asyncio.ensure_future(asyncio.to_thread(next, pieces, None))
    try:
        return await asyncio.shield(piece)
    except asyncio.CancelledError:
        await asyncio.gather(piece, return_exceptions=True)
        raise
