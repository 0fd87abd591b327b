"""A stack ends as a whole, whatever ends it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from tests.integration.stack.running import ROOT, RunningStack, stack_environment, survivors
from tests.integration.stack.test_start import make_env


def part(running: RunningStack, module: str) -> psutil.Process:
    """The process of the stack that runs `module`."""
    [found] = [one for one in running.processes() if module in one.cmdline()]
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_streams_with_bye_and_all_processes_with_0(
    number: signal.Signals, start: Callable[..., RunningStack]
) -> None:
    """The API drains while its store still answers; nothing is left and nothing complains."""
    running = start().ready()
    processes = running.processes()
    url = running.settings()["MILLRACE_URL"]
    token = httpx.post(f"{url}/api/dev/session", json={"user": "alice"}).json()["token"]
    reading = httpx.stream(
        "GET",
        f"{url}/api/events?topic=public:room",
        headers={"Authorization": f"Bearer {token}"},
    )

    with reading as answer:
        lines = answer.iter_lines()
        assert "event: connected" in lines
        running.signal(number)
        rest = list(lines)

    assert "event: bye" in rest
    assert running.wait() == 0
    assert "Traceback" not in running.complaints
    assert not survivors(processes)


def test_a_killed_stack_leaves_no_process_and_no_settings(
    start: Callable[..., RunningStack], tmp_path: Path
) -> None:
    """SIGKILL runs no handler: the kernel itself must end the servers."""
    running = start().ready()
    processes = running.processes()
    assert processes

    running.signal(signal.SIGKILL)
    running.wait()

    assert not survivors(processes)
    assert make_env(tmp_path).returncode != 0


@pytest.mark.parametrize(
    "module", ["functions.container", "infra.local.upstash", "infra.local.ably"]
)
def test_when_one_server_dies_all_end_and_the_dead_one_is_named(
    module: str, start: Callable[..., RunningStack]
) -> None:
    """Half a stack would answer with errors that mislead."""
    running = start().ready()
    processes = running.processes()

    part(running, module).kill()

    assert running.wait() == 1
    name = module.rpartition(".")[2].replace("container", "api")
    assert f"stack: {name} has ended, by SIGKILL" in running.complaints
    assert not survivors(processes)


def test_with_its_parent_the_stack_ends_when_asked_to(tmp_path: Path) -> None:
    """A killed `make run` must not leave the servers behind."""
    program = [sys.executable, "-m", "infra.local.stack", "--until-parent-ends"]
    script = "import subprocess, sys; subprocess.run(sys.argv[1:])"
    parent = subprocess.Popen(
        [sys.executable, "-c", script, *program],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=stack_environment(tmp_path),
    )
    assert parent.stdout is not None
    assert any("is ready" in line for line in parent.stdout)
    processes = psutil.Process(parent.pid).children(recursive=True)
    assert processes

    parent.kill()
    parent.communicate()

    assert not survivors(processes)
