"""The vendor's JavaScript clients, unmodified, work against the local server."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from typing import Any

import pytest

from tests.support.local_server import ROOT
from tests.support.upstash_server import UpstashServer

NODE = ROOT / "tests" / "e2e" / "node"

pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed"),
    pytest.mark.skipif(
        not (NODE / "node_modules").is_dir(), reason="run: npm ci --prefix tests/e2e/node"
    ),
]


async def run_script(upstash: UpstashServer, name: str) -> Any:
    """What the script prints as JSON. Fails with its stderr when it does not end well."""
    process = await asyncio.create_subprocess_exec(
        "node",
        name,
        cwd=NODE,
        env={**os.environ, "URL_": upstash.url, "TOKEN": upstash.token},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(20):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode == 0, err.decode()
    return json.loads(out)


async def test_the_redis_client_gets_its_values_back(upstash: UpstashServer) -> None:
    """Text, objects, hashes, streams, batches, scripts and errors, base64 included."""
    results = await run_script(upstash, "redis.mjs")

    error = results.pop("error")
    assert "WRONGTYPE" in error
    assert results == {
        "set": "OK",
        "get": "grüße 😀",
        "object": {"a": [1, "2", None]},
        "missing": None,
        "hash": {"f": 1},
        "id": "1-1",
        "range": {"1-1": {"field": "value"}},
        "read": [["stream", [["1-1", ["field", "value"]]]]],
        "pipeline": ["OK", 2, 2],
        "multi": ["OK", 5],
        "script": ["k", "v"],
        "auto": 3,
    }


async def test_the_redis_client_hears_channels_and_patterns(upstash: UpstashServer) -> None:
    """Its own parser reads our event streams."""
    heard = {"channel": "room:1", "message": {"text": "grüße, 世界"}}

    assert await run_script(upstash, "subscribe.mjs") == {
        "receivers": 2,
        "message": heard,
        "pmessage": {"pattern": "room:*", **heard},
    }


async def test_the_realtime_library_emits_replays_and_streams(upstash: UpstashServer) -> None:
    """History and live events arrive in order, and its SSE handler streams them."""
    assert await run_script(upstash, "realtime.mjs") == {
        "seen": ["before", "after"],
        "history": ["before", "after"],
        "contentType": "text/event-stream",
    }
