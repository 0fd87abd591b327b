"""AWS's services on this machine: moto's server as a process."""

from __future__ import annotations

import subprocess
import sys
from types import TracebackType
from typing import Self

import httpx

from tests.support.ports import free_port

START_TRIES = 50


class Aws:
    """The server, which answers as soon as it is started. `environment` makes AWS SDKs use it."""

    def __enter__(self) -> Self:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", f"-p{port}"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._wait()
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
        }

    def reset(self) -> None:
        """Delete all resources."""
        httpx.post(f"{self.url}/moto-api/reset").raise_for_status()

    def _wait(self) -> None:
        with httpx.Client(transport=httpx.HTTPTransport(retries=START_TRIES)) as client:
            client.get(f"{self.url}/moto-api/data.json", timeout=20).raise_for_status()
