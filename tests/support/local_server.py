"""One of the local servers as a process that ends with ours."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self

import httpx

ROOT = Path(__file__).parents[2]
_START_TIMEOUT_S = 20.0
_STOP_TIMEOUT_S = 10.0


class LocalServer:
    """A server that announces itself by a line of JSON, which a subclass reads.

    The controls are synchronous: they take about a millisecond and work from any test.
    """

    name: str
    program: Sequence[str]

    def __init__(self, *options: str, env: Mapping[str, str] | None = None) -> None:
        self._options = options
        self._env = env or {}
        self._stderr: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._http = httpx.Client(verify=False)
        self.complaints = ""
        """What the server wrote to stderr. It is known when the server has ended."""
        self.url = ""

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    def start(self) -> Self:
        """Return when it has announced itself. Raises RuntimeError with its stderr if it ends."""
        # A file, not a pipe: nobody reads it while the server runs.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the process ended
        self._process = subprocess.Popen(
            [sys.executable, *self.program, "--port=0", "--until-stdin-closes", *self._options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            cwd=ROOT,
            env={**os.environ, **self._env},
        )
        line = self._first_line(self._process)
        if not line:
            self.kill()
            raise RuntimeError(f"the {self.name} server did not start: {self.complaints}")
        announced = json.loads(line)
        self.url = announced["url"]
        self._announced(announced)
        self._http = self.client()
        return self

    def _announced(self, announcement: Mapping[str, Any]) -> None:
        raise NotImplementedError

    def client(self) -> httpx.Client:
        """A client that may do everything, and that the caller closes."""
        raise NotImplementedError

    def stop(self) -> int:
        """End it by SIGTERM. Returns the exit status, also when it has ended before."""
        return self._end(lambda process: process.terminate())

    def kill(self) -> int:
        """End it by SIGKILL. Returns the exit status, also when it has ended before."""
        return self._end(lambda process: process.kill())

    def orphan(self) -> int:
        """Close its stdin, as our own death would. Returns its exit status."""
        return self._end(lambda process: _streams(process)[0].close())

    def control(self, method: str, name: str, **body: Any) -> Any:
        """Call one of `/_local/*`. Returns its answer."""
        response = self._http.request(method, f"/_local/{name}", json=body or None)
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
            self.complaints = self._complaints(self._stderr.read().decode(errors="replace"))
            self._stderr.close()
            self._stderr = None
        return status

    def _complaints(self, text: str) -> str:
        return text.strip()


def _streams(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout
