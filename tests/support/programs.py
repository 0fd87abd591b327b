"""Runs programs as processes that do not outlive the test."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from tests.support.local_server import ROOT

NODE = ROOT / "tests" / "e2e" / "node"


@asynccontextmanager
async def running_program(
    *command: str,
    env: Mapping[str, str],
    cwd: Path = ROOT,
    stdin: int = DEVNULL,
    stderr: int | None = PIPE,
) -> AsyncIterator[Process]:
    """A process with its output in pipes, which is killed at the end of the block.

    `env` is its whole environment. With None for `stderr` it has ours.
    """
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, env=env, stdin=stdin, stdout=PIPE, stderr=stderr
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


@asynccontextmanager
async def running_node(script: str, **environment: str) -> AsyncIterator[Process]:
    """A script of `tests/e2e/node` with stdin and stdout in pipes."""
    env = {**os.environ, **environment}
    async with running_program(
        "node", script, cwd=NODE, env=env, stdin=PIPE, stderr=None
    ) as process:
        yield process


async def printed_json(*command: str, within_s: float, **environment: str) -> Any:
    """What a program prints as JSON. Fails with its stderr unless it ends well and in time."""
    async with running_program(*command, env={**os.environ, **environment}) as process:
        ending = asyncio.create_task(process.communicate())
        await asyncio.wait({ending}, timeout=within_s)
        if process.returncode is None:
            process.kill()
        out, err = await ending
        assert process.returncode == 0, f"{command}: {err.decode()}"
        return json.loads(out)


def run_module(
    module: str, *options: str, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `python -m module` to its end."""
    return _ended([sys.executable, "-m", module, *options], ROOT, env)


def run_alone(
    program: str, folder: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Python text in a folder, without the packages of this environment."""
    return _ended([sys.executable, "-I", "-S", "-c", program], folder, env)


def _ended(
    command: list[str], cwd: Path, env: Mapping[str, str] | None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=60, check=False
    )
