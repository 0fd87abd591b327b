"""One execution environment of Lambda: a Runtime API and the process of the function."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import IO, Any, Self

from infra.local.upstash.tether import tethered
from tests.support.instances import SECRET
from tests.support.local_server import ROOT
from tests.support.runtime_api import Invocation, RuntimeApi
from tests.support.upstash_server import UpstashServer

BOOTSTRAP = ROOT / "functions" / "runtime" / "bootstrap"
STREAMING = [str(BOOTSTRAP), sys.executable, "/var/runtime/bootstrap.py"]
"""The command with AWS_LAMBDA_EXEC_WRAPPER. The environment names the handler."""
BUFFERED = [sys.executable, "-m", "awslambdaric", "functions.http.handler"]
"""The command of Lambda's own bootstrap."""
EXIT_S = 10.0
_OURS = ("MILLRACE_", "UPSTASH_", "ABLY_", "AWS_", "LAMBDA_", "_HANDLER")


def variables(upstash: UpstashServer, **settings: object) -> dict[str, str]:
    """The environment of a function. Settings are given in lower case, without their prefix."""
    chosen = {
        "env": "local",
        "secret": SECRET,
        "poll_min_ms": 10,
        "poll_idle_ms": 50,
        "publish_per_s": 1_000_000,
        "new_topics_per_minute": 0,
        "publish_burst": 1_000_000,
        **settings,
    }
    store = {"UPSTASH_REDIS_REST_URL": upstash.url, "UPSTASH_REDIS_REST_TOKEN": upstash.token}
    return store | {f"MILLRACE_{name.upper()}": str(value) for name, value in chosen.items()}


class ExecutionEnvironment:
    """An environment that starts its process at the first invocation, and after each death.

    With `freezes` nothing of the process runs between invocations, as on Lambda.
    """

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        *,
        handler: str = "functions.stream.app",
        timeout_s: float = 30,
        at_once: int = 1,
        freezes: bool = False,
    ) -> None:
        self.api = RuntimeApi(at_once=at_once)
        self.starts = 0
        self.complaints = ""
        self.timeout_s = timeout_s
        self._command = list(command)
        self._env = {**env, "_HANDLER": handler, "LAMBDA_TASK_ROOT": str(ROOT)}
        if at_once > 1:
            self._env["AWS_LAMBDA_MAX_CONCURRENCY"] = str(at_once)
        self._freezes = freezes
        self._process: subprocess.Popen[bytes] | None = None
        self._stderr: IO[bytes] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_idle(self) -> bool:
        return self.api.load < self.api.at_once

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def __aenter__(self) -> Self:
        await self.api.__aenter__()
        return self

    async def __aexit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        await self.kill()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self.api.__aexit__(None, None, None)

    async def start(self) -> Self:
        """Return when the process waits for an invocation. Raises RuntimeError if it ends."""
        self.launch()
        polled = asyncio.ensure_future(self.api.until_polled())
        exited = asyncio.ensure_future(self.exited(timeout_s=60))
        await asyncio.wait([polled, exited], return_when=asyncio.FIRST_COMPLETED)
        if not polled.done():
            polled.cancel()
            raise RuntimeError(f"status {exited.result()}: {self.complaints}")
        exited.cancel()
        await asyncio.wait([exited])
        return self

    def launch(self) -> None:
        """Start without waiting."""
        inherited = {name: text for name, text in os.environ.items() if not name.startswith(_OURS)}
        here = {"AWS_LAMBDA_RUNTIME_API": self.api.address, "LAMBDA_RUNTIME_DIR": "/var/runtime"}
        # A file, not a pipe: nobody reads it while the function runs.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `_reap`
        self._process = subprocess.Popen(
            tethered(self._command),
            stdin=subprocess.PIPE,
            stdout=self._stderr,  # where AWS's client logs
            stderr=self._stderr,
            cwd=ROOT,
            env=inherited | self._env | here,
        )
        self.starts += 1

    async def invoke(self, event: Any) -> Invocation:
        """Give an event to the process, which is started or thawed for it.

        It fails as on Lambda if the process ends before it is ready.
        """
        if self._process is not None and self._process.poll() is not None:
            self._reap()
        if self._process is None:
            try:
                await self.start()
            except RuntimeError:  # killed, or its own failure: `complaints` has the reason
                failed = Invocation(event, 0)
                failed.end(("Runtime.ExitError", None))
                return failed
        self._signal(signal.SIGCONT)
        invocation = await self.api.invoke(event, timeout_s=self.timeout_s)
        task = asyncio.create_task(self._watch(invocation))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return invocation

    async def exited(self, timeout_s: float = EXIT_S) -> int:
        """Wait for the process to end by itself. Returns its exit status."""
        process = self._process
        assert process is not None
        async with asyncio.timeout(timeout_s):
            while (status := process.poll()) is None:
                await asyncio.sleep(0.01)
        if self._process is process:
            self._reap()
        return status

    async def kill(self) -> None:
        """Send SIGKILL, as Lambda does at the deadline."""
        if self._process is None:
            return
        self._signal(signal.SIGKILL)
        await self.exited()

    async def frozen(self) -> None:
        """Return when the process is frozen, or has another invocation."""
        await self.api.until_polled()
        if not self.api.load:
            self._signal(signal.SIGSTOP)

    async def _watch(self, invocation: Invocation) -> None:
        """Do what Lambda does: kill what takes too long, report a death, freeze an idle process."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self.timeout_s):
                while not invocation.is_ended and self._is_running:
                    await asyncio.sleep(0.02)
        if not invocation.is_ended:
            self.api.abandon("Sandbox.Timedout" if self._is_running else "Runtime.ExitError")
            await self.kill()
        elif self._freezes:
            await self.frozen()

    @property
    def _is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def _reap(self) -> None:
        """Forget an ended process, but keep its stderr. Its invocations have failed."""
        if self._process is None:
            return
        self._process.wait(EXIT_S)
        self.api.abandon("Runtime.ExitError")
        assert self._process.stdin is not None
        self._process.stdin.close()
        if self._stderr is not None:
            self._stderr.seek(0)
            self.complaints += self._stderr.read().decode(errors="replace")
            self._stderr.close()
        self._process = self._stderr = None
