"""Starts the local Upstash server as a process and works its controls."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx

ROOT = Path(__file__).parents[2]
_START_TIMEOUT_S = 20.0
_STOP_TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Meter:
    """What would have been billed since the last reset; `commands` by upper-case name."""

    billed: int
    commands: dict[str, int]


class UpstashServer:
    """One server process on a free port. `start` returns when a real command has succeeded.

    The process ends with the one that started it, however that ends. The controls are
    synchronous: they take about a millisecond and work from any test.
    """

    def __init__(self, *options: str, env: dict[str, str] | None = None) -> None:
        self._options = options
        self._env = env or {}
        self._stderr: IO[bytes] | None = None
        self._complaints = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._http = httpx.Client(verify=False)
        self.url = ""
        self.token = ""
        self.readonly_token = ""

    @property
    def complaints(self) -> str:
        """What the server wrote to stderr; known once it has ended."""
        return self._complaints

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    def start(self) -> UpstashServer:
        """Return when announced. Raises RuntimeError with the server's own words otherwise."""
        # A file, not a pipe: nobody reads it while the server runs.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the process ended
        command = [sys.executable, "-m", "infra.local.upstash", "--port=0", "--until-stdin-closes"]
        self._process = subprocess.Popen(
            [*command, *self._options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            cwd=ROOT,
            env={**os.environ, **self._env},
        )
        line = self._first_line(self._process)
        if not line:
            self.kill()
            raise RuntimeError(f"the Upstash server did not start: {self._complaints}")
        announced = json.loads(line)
        self.url = announced["url"]
        self.token = announced["token"]
        self.readonly_token = announced["readonly_token"]
        # No TLS here: loading the authorities would be most of the work.
        self._http = httpx.Client(
            base_url=self.url, headers=self.headers(), timeout=10, verify=False
        )
        return self

    def stop(self) -> int:
        """End it in order; returns the exit status, also when it has ended before."""
        return self._end(lambda process: process.terminate())

    def kill(self) -> int:
        """SIGKILL: no handler of the server runs. Does nothing when it has ended before."""
        return self._end(lambda process: process.kill())

    def orphan(self) -> int:
        """Do to the server what our own death would: its stdin ends. Returns its exit status."""
        return self._end(lambda process: _streams(process)[0].close())

    def headers(self, token: str | None = None) -> dict[str, str]:
        """The Authorization header; of the full token unless another is given."""
        return {"Authorization": f"Bearer {token or self.token}"}

    def meter(self) -> Meter:
        return Meter(**self._control("GET", "meter"))

    def reset_meter(self) -> None:
        self._control("DELETE", "meter")

    def faults(self, **change: Any) -> None:
        """Switch faults on, for example `lose_replies=1, only=["XADD"]`; -1 is until cleared."""
        self._control("PUT", "faults", json=change)

    def clear_faults(self) -> None:
        self._control("DELETE", "faults")

    def flush(self) -> None:
        """Empty the database, scripts and functions included; not billed."""
        self._control("POST", "flush")

    def reset(self) -> None:
        """As new: no faults, no data, nothing billed."""
        self.clear_faults()
        self.flush()
        self.reset_meter()

    def _control(self, method: str, name: str, **options: Any) -> Any:
        response = self._http.request(method, f"/_local/{name}", **options)
        assert response.status_code == httpx.codes.OK, response.text
        return response.json()

    def _first_line(self, process: subprocess.Popen[bytes]) -> bytes:
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            return process.stdout.readline() if selector.select(_START_TIMEOUT_S) else b""

    def _end(self, order: Callable[[subprocess.Popen[bytes]], None]) -> int:
        assert self._process is not None, "not started"
        self._http.close()
        if self._process.poll() is None:
            order(self._process)
        try:
            status = self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        for stream in _streams(self._process):
            stream.close()
        if self._stderr is not None:
            self._stderr.seek(0)
            self._complaints = self._stderr.read().decode(errors="replace").strip()
            self._stderr.close()
            self._stderr = None
        return status


def _streams(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout
