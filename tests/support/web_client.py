"""The browser client of `web/client`, built for a page without a bundler."""

from __future__ import annotations

import functools
import shutil
import subprocess

import pytest

from tests.support.local_server import ROOT

CLIENT = ROOT / "web" / "client"

NEEDS_CLIENT = [
    pytest.mark.skipif(shutil.which("node") is None, reason="no tool: node is not installed"),
    pytest.mark.skipif(
        not (CLIENT / "node_modules").is_dir(), reason="no tool: run npm ci --prefix web/client"
    ),
]


@functools.cache
def page_script() -> str:
    """A script that makes all exports `globalThis.millrace`."""
    command = ["node", "scripts/build.mjs", "--page"]
    built = subprocess.run(command, cwd=CLIENT, capture_output=True, text=True, check=True)
    return built.stdout
