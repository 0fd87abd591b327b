"""What the local stack keeps between runs, and where other processes find its settings."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[2]
_LOCK_ATTEMPTS = 20
_LOCK_PAUSE_S = 0.05


class AlreadyRunning(Exception):
    """Another stack uses this folder."""


@dataclass(frozen=True, slots=True)
class State:
    """`settings` are those of the present run or, without a `pid`, of the last one."""

    secrets: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    pid: int | None = None


def made_secrets() -> dict[str, str]:
    """New random secrets, each in the form that its reader needs."""
    return {
        # Production refuses every secret that holds the word "local".
        "MILLRACE_SECRET": f"local-{secrets.token_urlsafe(32)}",
        "UPSTASH_REDIS_REST_TOKEN": f"local-{secrets.token_urlsafe(24)}",
        # Not ABLY_API_KEY: a key of that name is the caller's, and means the real service.
        "ABLY_LOCAL_KEY": f"local.{secrets.token_hex(3)}:{secrets.token_urlsafe(24)}",
    }


class StateFolder:
    """A private folder with the state in a file, and a lock that is held while a stack runs.

    A lock is safer than a process id: the kernel gives it up when its holder ends in any way.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path / "stack.json"

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> StateFolder:
        """The folder that `MILLRACE_LOCAL_DIR` names, else `.local`."""
        given = environ.get("MILLRACE_LOCAL_DIR", "").strip()
        return cls(Path(given or ROOT / ".local").absolute())

    def read(self) -> State:
        """The state; an empty one when none is kept, or it cannot be read."""
        try:
            kept = json.loads(self._file.read_text())
            return State(dict(kept["secrets"]), dict(kept["settings"]), kept["pid"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return State()

    def write(self, state: State) -> None:
        """Replace the state in one step. Only this user can read it."""
        kept = {"secrets": {**state.secrets}, "settings": {**state.settings}, "pid": state.pid}
        fresh = self._path / "stack.json.new"
        fresh.unlink(missing_ok=True)
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:  # noqa: PTH123
            json.dump(kept, file, indent=2)
        fresh.replace(self._file)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep the folder for one stack. Raises AlreadyRunning."""
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._lock_file() as file:
            for _ in range(_LOCK_ATTEMPTS):
                if _locks(file, fcntl.LOCK_EX):
                    yield
                    return
                # A process that calls `is_held` has the lock for a moment.
                time.sleep(_LOCK_PAUSE_S)
        raise AlreadyRunning

    def is_held(self) -> bool:
        """Whether a stack runs on this folder."""
        try:
            with self._lock_file() as file:
                return not _locks(file, fcntl.LOCK_SH)
        except FileNotFoundError:
            return False

    def _lock_file(self) -> IO[str]:
        return (self._path / "stack.lock").open("a")


def _locks(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
