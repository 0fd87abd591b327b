"""Runs the local stack as a process, as `make run` does, on free ports and its own folder."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

import psutil

ROOT = Path(__file__).parents[3]
READY = "Millrace is ready"
_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 30.0
_MINE = ("MILLRACE_", "UPSTASH_", "ABLY_")
_NOT_INHERITED = (*_MINE, "MAKE", "MFLAGS")  # the tests themselves may run under make


def stack_environment(folder: Path, **settings: str) -> dict[str, str]:
    """The environment of a stack in `folder`: ours, without settings of Millrace or make."""
    inherited = {
        name: text for name, text in os.environ.items() if not name.startswith(_NOT_INHERITED)
    }
    ports = dict.fromkeys(("MILLRACE_PORT", "MILLRACE_UPSTASH_PORT", "MILLRACE_ABLY_PORT"), "0")
    return inherited | ports | {"MILLRACE_LOCAL_DIR": str(folder)} | settings


class RunningStack:
    """One stack. What it prints is in `output` and, once it has ended, in `complaints`."""

    def __init__(self, folder: Path, *options: str, **settings: str) -> None:
        self.environment = stack_environment(folder, **settings)
        self.output = ""
        self.complaints = ""
        # A file, not a pipe: nobody reads it while the stack runs.
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `wait`
        self._process = subprocess.Popen(
            [sys.executable, "-m", "infra.local.stack", *options],
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            cwd=ROOT,
            env=self.environment,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def ready(self) -> RunningStack:
        """Return when it has said so. Raises AssertionError with its words otherwise."""
        assert self._process.stdout is not None
        while READY not in self.output:
            with selectors.DefaultSelector() as selector:
                selector.register(self._process.stdout, selectors.EVENT_READ)
                in_time = selector.select(_START_TIMEOUT_S)
            chunk = os.read(self._process.stdout.fileno(), 65_536) if in_time else b""
            if not chunk:
                self.signal(signal.SIGKILL)
                self.wait()
                raise AssertionError(f"not ready: {self.output}{self.complaints}")
            self.output += chunk.decode()
        return self

    def settings(self) -> dict[str, str]:
        """What `make -s env` exports, as a shell understands it."""
        script = 'eval "$(make -s env PY="$0")" && env -0'
        shell = subprocess.run(
            ["/bin/sh", "-c", script, sys.executable],
            capture_output=True,
            cwd=ROOT,
            env=self.environment,
            check=True,
        )
        pairs = (entry.partition("=") for entry in shell.stdout.decode().split("\0"))
        return {name: value for name, _, value in pairs if name.startswith(_MINE)}

    def processes(self) -> list[psutil.Process]:
        """Every process below the stack."""
        return psutil.Process(self.pid).children(recursive=True)

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def stop(self) -> int:
        """SIGTERM; returns the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def end(self) -> None:
        """Make sure that nothing of it is left; nothing happens when it has ended."""
        if self._process.poll() is None:
            self._process.kill()
            self.wait()

    def wait(self) -> int:
        """The exit status, once it has ended by itself."""
        try:
            rest, _ = self._process.communicate(timeout=_STOP_TIMEOUT_S)
        finally:
            self._process.kill()
        self.output += rest.decode()
        self._stderr.seek(0)
        self.complaints = self._stderr.read().decode()
        self._stderr.close()
        return self._process.returncode


def survivors(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run when all had time to end."""
    deadline = time.monotonic() + _STOP_TIMEOUT_S
    while (alive := [one for one in processes if _runs(one)]) and time.monotonic() < deadline:
        time.sleep(0.01)
    return alive


def _runs(process: psutil.Process) -> bool:
    # An orphan that has ended stays a zombie where process 1 does not collect them.
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
