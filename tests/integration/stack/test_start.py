"""What stands in the way of a start is said in one line."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.local.state import State, StateFolder
from tests.integration.stack.running import ROOT, RunningStack, stack_environment


def make_env(folder: Path) -> subprocess.CompletedProcess[str]:
    command = ["make", "-s", "env", f"PY={sys.executable}"]
    environment = stack_environment(folder)
    return subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False
    )


@pytest.mark.parametrize(
    "variable", ["MILLRACE_PORT", "MILLRACE_UPSTASH_PORT", "MILLRACE_ABLY_PORT"]
)
def test_a_taken_port_is_one_line_that_names_the_variable(
    variable: str, start: Callable[..., RunningStack]
) -> None:
    """Whoever has something else on the port sees at once how to move ours."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        running = start(**{variable: str(port)})

        assert running.wait() == 1
    assert running.output == ""
    [line] = running.complaints.splitlines()
    assert str(port) in line
    assert variable in line


@pytest.mark.parametrize("port", ["none", "-1", "65536"])
def test_what_is_no_port_is_named(port: str, start: Callable[..., RunningStack]) -> None:
    """A typing error is not a traceback."""
    running = start(MILLRACE_PORT=port)

    assert running.wait() == 1
    assert running.complaints == f"stack: MILLRACE_PORT={port} is not a port\n"


def test_blank_settings_are_as_good_as_none(start: Callable[..., RunningStack]) -> None:
    """The stack's own defaults and secrets stand in for them, and its servers for the real ones."""
    names = ("MILLRACE_ENV", "MILLRACE_WEB_ROOT", "MILLRACE_SECRET", "ABLY_API_KEY")
    store = ("UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN", "MILLRACE_ABLY_URL")

    running = start(**dict.fromkeys((*names, *store), " ")).ready()

    assert "http://127.0.0.1:" in running.output


def test_a_bad_setting_stops_the_start_with_the_words_of_the_api(
    start: Callable[..., RunningStack],
) -> None:
    """The API knows best what is wrong; the stack shows it and starts nothing else."""
    running = start(MILLRACE_POLL_MIN_MS="nine")

    assert running.wait() == 1
    assert "MILLRACE_POLL_MIN_MS" in running.complaints
    assert running.complaints.endswith("stack: api has ended, status 2\n")


def test_env_without_a_stack_fails_and_prints_no_settings(tmp_path: Path) -> None:
    """A script that joins nothing must notice."""
    answer = make_env(tmp_path)

    assert answer.returncode != 0
    assert answer.stdout == ""
    assert "make run" in answer.stderr


@pytest.mark.parametrize("text", ["", "{", "[]", '{"secrets": {}}', '{"secrets": 1}'])
def test_a_state_file_that_cannot_be_read_counts_as_none(text: str, tmp_path: Path) -> None:
    """A full disk or a curious editor must not lock anybody out."""
    (tmp_path / "stack.json").write_text(text)

    assert StateFolder(tmp_path).read() == State()
