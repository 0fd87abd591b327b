"""Runs the command `millrace` as a process, with nothing of ours in its environment."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.support.programs import running_program

TIMEOUT_S = 30.0
_OURS = ("MILLRACE_", "UPSTASH_", "ABLY_", "LITESTAR_")


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it said."""

    status: int
    output: str
    errors: str


class Command:
    """A running command."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self) -> str:
        """The next line of its output. Raises AssertionError when there is none in time."""
        return await self._line_of(self.process.stdout)

    async def complaint(self) -> str:
        """The next line of stderr."""
        return await self._line_of(self.process.stderr)

    async def ended(self) -> Ended:
        """Once it has ended by itself; what was read before is not in it."""
        async with asyncio.timeout(TIMEOUT_S):
            output, errors = await self.process.communicate()
        assert self.process.returncode is not None
        return Ended(self.process.returncode, output.decode(), errors.decode())

    async def _line_of(self, stream: asyncio.StreamReader | None) -> str:
        assert stream is not None
        async with asyncio.timeout(TIMEOUT_S):
            line = await stream.readline()
        assert line, "the command has ended"
        return line.decode().rstrip("\n")


@asynccontextmanager
async def started(*words: str, **environment: str) -> AsyncIterator[Command]:
    """Start `millrace` with these words; it does not outlive the block."""
    inherited = {name: text for name, text in os.environ.items() if not name.startswith(_OURS)}
    command = (sys.executable, "-m", "api.cli", *words)
    async with running_program(*command, env=inherited | environment) as process:
        yield Command(process)


async def millrace(*words: str, **environment: str) -> Ended:
    """Run `millrace` to its end."""
    async with started(*words, **environment) as command:
        return await command.ended()
