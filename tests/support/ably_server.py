"""Starts the local Ably server as a process and works its controls."""

from __future__ import annotations

import json
import selectors
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import httpx

ROOT = Path(__file__).parents[2]
KEY = "local.key:secret-of-the-local-key"
BANNER = "a development server"
_START_TIMEOUT_S = 20.0
_STOP_TIMEOUT_S = 10.0


class AblyServer:
    """One server process on a free port. The process ends with the one that started it."""

    def __init__(self, *options: str) -> None:
        self._options = options
        self._stderr: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._http = httpx.Client(verify=False)
        self.complaints = ""
        self.url = ""
        self.key = ""

    @property
    def pid(self) -> int:
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def port(self) -> int:
        port = urlsplit(self.url).port
        assert port is not None
        return port

    def start(self) -> AblyServer:
        """Return when announced. Raises RuntimeError with the server's own words otherwise."""
        # A file, not a pipe: nobody reads it while the server runs.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the process ended
        # Warnings of the server end up in its complaints.
        command = [
            sys.executable,
            "-W",
            "error",
            "-m",
            "infra.local.ably",
            "--port=0",
            "--until-stdin-closes",
        ]
        self._process = subprocess.Popen(
            [*command, f"--key={KEY}", *self._options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            cwd=ROOT,
        )
        line = self._first_line(self._process)
        if not line:
            self.kill()
            raise RuntimeError(f"the Ably server did not start: {self.complaints}")
        announced = json.loads(line)
        self.url, self.key = announced["url"], announced["key"]
        self._http = self.client()
        return self

    def client(self) -> httpx.Client:
        """A client with the full key; the caller closes it."""
        name, _, secret = self.key.partition(":")
        # No TLS here: loading the authorities would be most of the work.
        return httpx.Client(base_url=self.url, auth=(name, secret), timeout=10, verify=False)

    def stop(self) -> int:
        """End it in order; returns the exit status, also when it has ended before."""
        return self._end(lambda process: process.terminate())

    def kill(self) -> int:
        """SIGKILL: no handler of the server runs."""
        return self._end(lambda process: process.kill())

    def orphan(self) -> int:
        """Do to the server what our own death would: its stdin ends. Returns its exit status."""
        return self._end(lambda process: _streams(process)[0].close())

    def control(self, method: str, name: str, **body: Any) -> Any:
        """Work one of `/_local/*`."""
        response = self._http.request(method, f"/_local/{name}", json=body)
        assert response.status_code == httpx.codes.OK, response.text
        return response.json()

    def reset(self) -> None:
        """As new: nobody connected, nothing kept, no faults, the time as it is."""
        self.control("POST", "reset")

    def faults(self, **change: Any) -> None:
        """Switch faults on: `http_errors=1` (-1: until reset), `refuse_sockets=True`."""
        self.control("PUT", "faults", **change)

    def set_clock(self, offset_ms: int) -> None:
        """Let the server think it is later; what is due by then happens before this returns."""
        self.control("PUT", "clock", offset_ms=offset_ms)

    def drop(self, **whom: str) -> int:
        """Cut the sockets of all, or of one `clientId`; returns how many."""
        dropped: int = self.control("POST", "drop", **whom)["dropped"]
        return dropped

    def expire_tokens(self) -> None:
        """What was issued until now has expired."""
        self.control("POST", "expire")

    def webhook(self, url: str) -> None:
        """Deliver webhooks there from now on; empty is nowhere."""
        self.control("PUT", "webhook", url=url)

    def webhooks_waiting(self) -> int:
        """How many events the endpoint has not taken yet."""
        waiting: int = self.control("GET", "webhook")["waiting"]
        return waiting

    def redeliver(self, times: int = 1) -> int:
        """Deliver the last batches again, out of order; returns how many that will be."""
        batches: int = self.control("POST", "redeliver", times=times)["batches"]
        return batches

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
            words = self._stderr.read().decode(errors="replace").splitlines()
            self.complaints = "\n".join(line for line in words if BANNER not in line)
            self._stderr.close()
            self._stderr = None
        return status


def _streams(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    assert process.stdin is not None
    assert process.stdout is not None
    return process.stdin, process.stdout
