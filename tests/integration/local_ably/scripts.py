"""Runs clients as processes: their warnings, loops and threads stay out of ours."""

from __future__ import annotations

import shutil
import sys
from typing import Any

import pytest

from tests.support.ably_server import AblyServer
from tests.support.local_server import ROOT
from tests.support.programs import NODE, printed_json

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
    return await printed_json(*command, within_s=_WITHIN_S, PORT=str(ably.port), KEY=ably.key)
