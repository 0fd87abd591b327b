"""Starts `python -m functions.container` as a process, and ends it in various ways."""

from __future__ import annotations

import json
import os
import re
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import IO, Any, Self

import httpx
import psutil

from api.settings.reading import OWN_NAMES
from tests.support.instances import SECRET
from tests.support.local_server import ROOT
from tests.support.upstash_server import UpstashServer

_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 20.0
_OURS = ("MILLRACE_", "UPSTASH_", "ABLY_")


class Container:
    """One server process. Started again after its end, it has the same port.

    `settings` are those of the application in lower case: `drain_s=3` is MILLRACE_DRAIN_S=3.
    The controls are synchronous and take milliseconds, but for `start` and `wait`.
    """

    module = "functions.container"

    def __init__(self, upstash: UpstashServer, **settings: object) -> None:
        self._settings = {
            "env": "local",
            "secret": SECRET,
            "port": 0,
            "publish_per_s": 1_000_000,
            "new_topics_per_minute": 0,
            "publish_burst": 1_000_000,
            **settings,
        }
        self._upstash = upstash
        self._process: subprocess.Popen[bytes] | None = None
        self._stderr: IO[bytes] | None = None
        self.url = ""
        self.complaints = ""

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("http://").partition(":")
        return host, int(port)

    @property
    def rss_bytes(self) -> int:
        assert self._process is not None
        return psutil.Process(self._process.pid).memory_info().rss

    def statuses(self, route: str) -> list[int]:
        """The statuses of the ended requests for `route`, by its log."""
        assert self._stderr is not None
        # Not `read`: the process writes where our common file offset is.
        size = os.fstat(self._stderr.fileno()).st_size
        log = os.pread(self._stderr.fileno(), size, 0).decode(errors="replace")
        ended = re.findall(r"request\.ended .*? route=(\S+) .*?status=(\d+)", log)
        return [int(status) for asked, status in ended if asked == route]

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def launch(self) -> Self:
        """Start without waiting, so that several can start at once; then call `ready`."""
        inherited = {name: text for name, text in os.environ.items() if not name.startswith(_OURS)}
        store = {
            "UPSTASH_REDIS_REST_URL": self._upstash.url,
            "UPSTASH_REDIS_REST_TOKEN": self._upstash.token,
        }
        own = {_variable(name): str(value) for name, value in self._settings.items()}
        # A file, not a pipe: nobody reads it while the server runs.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `wait`
        self._process = subprocess.Popen(
            [sys.executable, "-m", self.module],
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            cwd=ROOT,
            env=inherited | store | own,
        )
        return self

    def ready(self) -> Self:
        """Return when it has announced itself. Raises RuntimeError with its stderr if it ends."""
        self.url = self._announced()["url"]
        self._settings["port"] = self.address[1]
        return self

    def _announced(self) -> dict[str, Any]:
        """Read the announcement of the process."""
        assert self._process is not None
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            in_time = selector.select(_START_TIMEOUT_S)
        line = self._process.stdout.readline() if in_time else b""
        if not line:
            self.kill()
            raise RuntimeError(f"the container did not start: {self.complaints}")
        announced: dict[str, Any] = json.loads(line)
        return announced

    def start(self) -> Self:
        return self.launch().ready()

    def terminate(self) -> None:
        """Send SIGTERM. `wait` returns at its end."""
        self._signal(signal.SIGTERM)

    def kill(self) -> int:
        """Send SIGKILL. Nothing happens when it has ended before."""
        self._signal(signal.SIGKILL)
        return self.wait()

    def stop(self) -> int:
        """End it by SIGTERM. Returns the exit status."""
        self._signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Wait for its end, and kill it when that takes too long. Returns the exit status."""
        assert self._process is not None
        try:
            status = self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        if self._stderr is not None:
            self._stderr.seek(0)
            self.complaints = self._stderr.read().decode(errors="replace").strip()
            self._stderr.close()
            self._stderr = None
        return status

    def token(
        self,
        user: str = "reader",
        *,
        roles: Sequence[str] = ("admin",),
        grants: dict[str, list[str]] | None = None,
        ttl_s: float = 600,
    ) -> str:
        """A session token of `user`, which is good for all containers: they share a secret."""
        wanted: dict[str, Any] = {"user": user, "roles": list(roles), "ttl_s": ttl_s}
        # No TLS here: loading the authorities would be most of the work.
        with httpx.Client(verify=False, timeout=10) as client:
            answer = client.post(
                f"{self.url}/api/dev/session", json={**wanted, "grants": grants or {}}
            )
        token: str = answer.raise_for_status().json()["token"]
        return token

    def freeze(self) -> None:
        """Send SIGSTOP: until `thaw` it does nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, "not started"
        if self._process.poll() is None:
            self._process.send_signal(number)


def _variable(name: str) -> str:
    """The name of a setting in the environment."""
    variable = name.upper()
    return variable if variable in OWN_NAMES else f"MILLRACE_{variable}"


class WorkerProcess(Container):
    """A process that only does jobs. It is `ready` when it looks for the first."""

    module = "functions.worker"

    def ready(self) -> Self:
        self._announced()
        return self
