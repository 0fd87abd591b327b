"""Runs a program that cannot outlive the process that started it.

It is run as a script, because this has to be set up in the child, between fork and exec:
`python -I -S tether.py exec|watch PARENT_PID PROGRAM ARGS...`. It imports no module of ours, so
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
    """The command line that runs `program` so that it ends with the calling process.

    Start it with `stdin=PIPE` and keep that pipe open: where the kernel cannot signal the death
    of a parent, the end of the pipe tells of it.
    """
    mode = "exec" if sys.platform == "linux" else "watch"
    here = str(Path(__file__).resolve())
    return [sys.executable, "-I", "-S", here, mode, str(os.getpid()), *program]


def exec_tied(parent_pid: int, program: list[str]) -> None:
    """Become `program`, which Linux kills when the thread of the parent that started it ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # The parent may have ended before the call above. Then no signal comes.
    if os.getppid() != parent_pid:
        sys.exit(1)
    os.execv(program[0], program)  # noqa: S606 - a fixed program, no shell


def watch(program: list[str]) -> int:
    """Run `program` as a child and kill it when stdin ends. Returns its exit status."""
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
