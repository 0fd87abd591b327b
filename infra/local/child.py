"""A server process of the local stack: tied to us, announced on one line, ended in order."""

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
    """The process said nothing that announces it; its own words are on stderr."""


class Child:
    """A running process. `ended` is a task with its exit status."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.ended = asyncio.create_task(process.wait())
        self._process = process
        self._forwarding: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, name: str, program: list[str], environ: Mapping[str, str]) -> Child:
        """Start it. The kernel, or the end of its stdin, kills it when we are killed."""
        process = await asyncio.create_subprocess_exec(
            *tethered(program),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
            env=dict(environ),
            # Ctrl-C signals the whole foreground group, but the order of the end is ours.
            start_new_session=True,
        )
        return cls(name, process)

    async def announced(self) -> dict[str, Any]:
        """The line of JSON that says it is ready; other lines pass. Raises NotAnnounced."""
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
        """End it: SIGTERM, and SIGKILL when it takes longer than `within_s`."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self.ended), within_s)
        self.kill()
        await self.ended
        if self._forwarding is not None:
            await self._forwarding

    def kill(self) -> None:
        """End it at once; nothing happens when it has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    async def _forward(self) -> None:
        assert self._process.stdout is not None
        while chunk := await self._process.stdout.read(_CHUNK_BYTES):
            _show(chunk)


def _show(output: bytes) -> None:
    # A closed terminal must not stop the reading: the server would block on its full pipe.
    with contextlib.suppress(OSError):
        sys.stdout.buffer.write(output)
        sys.stdout.buffer.flush()
