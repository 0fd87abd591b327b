"""Server processes: started, ready when they say so on stdout, and always stopped."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.benchmarks.tree import ProcessTree

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "bench"
_OURS = ("MILLRACE_", "UPSTASH_", "ABLY_")
_READY_S = 30.0
_STOP_S = 10.0


class ServerFailed(Exception):
    """A server did not become ready; the message ends with what it wrote to stderr."""


@dataclass(frozen=True)
class Server:
    """A ready server: what it announced about itself, and what it uses."""

    announced: dict[str, str]
    tree: ProcessTree

    def address(self, key: str = "url") -> tuple[str, int]:
        host, _, port = self.announced[key].removeprefix("http://").partition(":")
        return host, int(port)


@contextlib.asynccontextmanager
async def running(
    name: str, arguments: list[str], environment: Mapping[str, str] | None = None
) -> AsyncIterator[Server]:
    """Run `python -m <arguments>` until the block ends.

    Its stderr is kept in build/bench, and kept from the next round when the block fails.
    """
    BUILD.mkdir(parents=True, exist_ok=True)
    path = BUILD / f"{name}.log"
    with path.open("w+b") as log:
        process = await _spawn(arguments, environment or {}, log)
        drain: asyncio.Task[None] | None = None
        try:
            announced = await _announcement(process, name, log)
            # A server that logs to stdout must never block on a full pipe.
            drain = asyncio.create_task(_drain(process))
            yield Server(announced, ProcessTree(process.pid))
        except Exception:
            path.replace(path.with_suffix(".failed.log"))
            raise
        finally:
            await _stop(process)
            if drain is not None:
                await drain


async def _spawn(
    arguments: list[str], environment: Mapping[str, str], log: IO[bytes]
) -> asyncio.subprocess.Process:
    # The caller's own settings must not change what is measured.
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(_OURS)}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *arguments,
        cwd=ROOT,
        env=inherited | dict(environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=log,
    )


async def _announcement(
    process: asyncio.subprocess.Process, name: str, log: IO[bytes]
) -> dict[str, str]:
    assert process.stdout is not None
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_READY_S):
            async for line in process.stdout:
                with contextlib.suppress(ValueError):
                    message = json.loads(line)
                    if isinstance(message, dict) and "url" in message:
                        return message
    log.seek(0)
    tail = log.read()[-800:].decode(errors="replace").strip()
    raise ServerFailed(f"{name} did not become ready: {tail}")


async def _drain(process: asyncio.subprocess.Process) -> None:
    assert process.stdout is not None
    while await process.stdout.read(65536):
        pass


async def _stop(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
