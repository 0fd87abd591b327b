"""Runs work for the processor in threads, in pieces, so that a cancel can stop it in between."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Final

# A few ms of the examples' work: often enough to cancel, seldom enough to be fast.
ROWS: Final = 4_000
BYTES: Final = 1024 * 1024

Pieces = Generator[int]
"""Work that is done piece by piece: each step does one, and yields how much is done so far."""


async def driven(pieces: Pieces, report: Callable[[int], Awaitable[object]]) -> None:
    """Do all `pieces` in threads, one after another, and after each `report` how much is done.

    When cancelled, it waits for the piece that is running: no thread works on after that.
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
