"""Run a program that cannot outlive the process that started it.

Used as a script, because the promise must be made inside the child, between fork and exec:
`python -I -S tether.py exec|watch PARENT_PID PROGRAM ARGS...`. It imports nothing of ours, so
that it starts in milliseconds.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

PR_SET_PDEATHSIG = 1


def tethered(program: list[str]) -> list[str]:
    """The command line that runs `program` tied to the calling process.

    Start it with `stdin=PIPE` and keep that pipe open: where the kernel has no parent-death
    signal, the pipe's end is what tells of the parent's death.
    """
    mode = "exec" if sys.platform == "linux" else "watch"
    here = str(Path(__file__).resolve())
    return [sys.executable, "-I", "-S", here, mode, str(os.getpid()), *program]


def exec_tied(parent_pid: int, program: list[str]) -> None:
    """Become `program`; the kernel kills it when the parent's starting thread ends. Linux only."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # The parent may have died before the call above: then no signal will ever come.
    if os.getppid() != parent_pid:
        sys.exit(1)
    os.execv(program[0], program)  # noqa: S606 - a fixed program, no shell


def watch(program: list[str]) -> int:
    """Run `program` as a child, and kill it when our stdin ends. Returns its exit status."""
    child = subprocess.Popen(program, stdin=subprocess.DEVNULL)  # noqa: S603 - as above

    def kill_at_end_of_input() -> None:
        while os.read(0, 1):
            pass
        child.kill()

    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    threading.Thread(target=kill_at_end_of_input, daemon=True).start()
    return child.wait()


def main(arguments: list[str]) -> int:
    mode, parent_pid, *program = arguments
    if mode == "exec":
        exec_tied(int(parent_pid), program)
    return watch(program)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
