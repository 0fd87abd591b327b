"""A server process of the local stack, which ends with the stack at the latest."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Mapping
from typing import Any

from infra.local.state import ROOT
from infra.local.upstash.tether import tethered

_CHUNK_BYTES = 65_536


class NotAnnounced(Exception):
    """The process ended before it announced itself. Its own message is on stderr."""


class Child:
    """A running process. `ended` is a task with its exit status."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.ended = asyncio.create_task(process.wait())
        self._process = process
        self._forwarding: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, name: str, program: list[str], environ: Mapping[str, str]) -> Child:
        """Start a program. If we are killed, the kernel or the end of its stdin kills it too."""
        process = await asyncio.create_subprocess_exec(
            *tethered(program),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
            env=dict(environ),
            # Ctrl-C signals the whole foreground group, but the servers have to end in an order.
            start_new_session=True,
        )
        return cls(name, process)

    async def announced(self) -> dict[str, Any]:
        """Wait for the line of JSON that says it is ready. Other lines are shown.

        Raises NotAnnounced.
        """
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            with contextlib.suppress(ValueError):
                announcement = json.loads(line)
                if isinstance(announcement, dict) and "url" in announcement:
                    self._forwarding = asyncio.create_task(self._forward())
                    return announcement
            _show(line)
        raise NotAnnounced

    async def stop(self, *, within_s: float) -> None:
        """End it by SIGTERM, and by SIGKILL when that takes longer than `within_s`."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self.ended), within_s)
        self.kill()
        await self.ended
        if self._forwarding is not None:
            await self._forwarding

    def kill(self) -> None:
        """End it by SIGKILL. Nothing happens when it has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def _forward(self) -> None:
        assert self._process.stdout is not None
        while chunk := await self._process.stdout.read(_CHUNK_BYTES):
            _show(chunk)


def _show(output: bytes) -> None:
    # Reading must go on when the terminal is closed: the server would block on its full pipe.
    with contextlib.suppress(OSError):
        sys.stdout.buffer.write(output)
        sys.stdout.buffer.flush()
