"""Work for the processor leaves the event loop free, and can be stopped."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator

import pytest

from api.examples.chunks import driven


class Work:
    """Three pieces; notes the threads that did them, and its end."""

    def __init__(self) -> None:
        self.threads: list[int] = []
        self.is_closed = False
        self.began = threading.Event()
        self.may_go_on = threading.Event()

    def pieces(self, *, fails: bool = False) -> Generator[int]:
        try:
            for number in (1, 2, 3):
                self.began.set()
                self.may_go_on.wait(10)
                self.threads.append(threading.get_ident())
                if fails and number == 2:
                    raise ZeroDivisionError
                yield number
        finally:
            self.is_closed = True


async def test_all_pieces_are_done_beside_the_loop_and_reported() -> None:
    """A report follows each piece, before the next one begins."""
    work, reported = Work(), list[tuple[int, int]]()
    work.may_go_on.set()

    async def report(done: int) -> None:
        reported.append((done, len(work.threads)))

    await driven(work.pieces(), report)

    assert reported == [(1, 1), (2, 2), (3, 3)]
    assert threading.get_ident() not in work.threads
    assert work.is_closed


async def test_a_piece_that_fails_ends_the_work() -> None:
    """The handler sees what went wrong."""
    work = Work()
    work.may_go_on.set()

    with pytest.raises(ZeroDivisionError):
        await driven(work.pieces(fails=True), _ignore)

    assert len(work.threads) == 2


async def test_cancel_waits_for_the_piece_that_runs_and_no_more() -> None:
    """Nothing goes on behind a job that is said to be canceled."""
    work = Work()
    task = asyncio.create_task(driven(work.pieces(), _ignore))
    await asyncio.to_thread(work.began.wait, 10)

    task.cancel()
    await asyncio.sleep(0)
    was_done = task.done()
    work.may_go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert not was_done
    assert len(work.threads) == 1
    assert work.is_closed


async def _ignore(_: int) -> None:
    pass
