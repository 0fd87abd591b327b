"""The portable tether: where the kernel gives no parent-death signal, a pipe does."""

from __future__ import annotations

import subprocess
import sys

import psutil

from infra.local.upstash import tether


def _watched(program: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-I", "-S", tether.__file__, "watch", "0"]
    return subprocess.Popen(
        [*command, sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def _child_of(process: subprocess.Popen[bytes]) -> psutil.Process:
    assert process.stdout is not None
    process.stdout.readline()  # the child is up and has said so
    [child] = psutil.Process(process.pid).children()
    return child


def test_the_end_of_the_pipe_kills_the_program() -> None:
    """The pipe is closed in whatever way the parent has died."""
    with _watched("import time; print(1, flush=True); time.sleep(60)") as process:
        child = _child_of(process)
        assert process.stdin is not None

        process.stdin.close()

        process.wait(timeout=5)
    child.wait(timeout=5)
    assert not child.is_running()


def test_the_programs_own_end_is_reported() -> None:
    """Its exit status is that of the program."""
    with _watched("import sys; sys.exit(7)") as process:
        assert process.wait(timeout=5) == 7


def test_terminating_the_tether_terminates_the_program() -> None:
    """A SIGTERM reaches the program."""
    with _watched("import time; print(1, flush=True); time.sleep(60)") as process:
        child = _child_of(process)

        process.terminate()

        process.wait(timeout=5)
    child.wait(timeout=5)
    assert not child.is_running()
