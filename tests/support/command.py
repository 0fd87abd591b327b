"""Runs the command `millrace` as a process, without settings of ours in its environment."""

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
    """The exit status of a command, and its output."""

    status: int
    output: str
    errors: str


class Command:
    """A running command."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self) -> str:
        """The next line of its output. Fails when none comes in time."""
        return await self._line_of(self.process.stdout)

    async def complaint(self) -> str:
        """The next line of stderr."""
        return await self._line_of(self.process.stderr)

    async def ended(self) -> Ended:
        """Wait for its end. Lines that were read before are not in the result."""
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
    """Start `millrace` with these arguments. It is killed at the end of the block."""
    inherited = {name: text for name, text in os.environ.items() if not name.startswith(_OURS)}
    command = (sys.executable, "-m", "api.cli", *words)
    async with running_program(*command, env=inherited | environment) as process:
        yield Command(process)


async def millrace(*words: str, **environment: str) -> Ended:
    """Run `millrace` to its end."""
    async with started(*words, **environment) as command:
        return await command.ended()
