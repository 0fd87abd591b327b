"""Runs clients as processes: their warnings, loops and threads stay out of ours."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from typing import Any

import pytest

from tests.support.ably_server import AblyServer
from tests.support.local_server import ROOT

NODE = ROOT / "tests" / "e2e" / "node"
CLIENTS = ROOT / "tests" / "integration" / "local_ably" / "clients"
_WITHIN_S = 30

needs_node = [
    pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed"),
    pytest.mark.skipif(
        not (NODE / "node_modules").is_dir(), reason="run: npm ci --prefix tests/e2e/node"
    ),
]


async def run_node(ably: AblyServer, script: str, *arguments: str) -> Any:
    """What a script of `tests/e2e/node` prints as JSON."""
    return await _run(ably, "node", str(NODE / script), *arguments)


async def run_python(ably: AblyServer, script: str, *arguments: str) -> Any:
    """What a script of `clients` prints as JSON."""
    return await _run(ably, sys.executable, str(CLIENTS / script), *arguments)


async def _run(ably: AblyServer, *command: str) -> Any:
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env={**os.environ, "PORT": str(ably.port), "KEY": ably.key},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    ending = asyncio.create_task(process.communicate())
    await asyncio.wait({ending}, timeout=_WITHIN_S)
    if process.returncode is None:
        process.kill()
    out, err = await ending
    assert process.returncode == 0, err.decode()
    return json.loads(out)
