"""How the worker's entries start, and how they refuse to."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.instances import SECRET
from tests.support.local_server import ROOT


def started(*command: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environ = {
        **os.environ,
        "UPSTASH_REDIS_REST_URL": "http://127.0.0.1:1",
        "UPSTASH_REDIS_REST_TOKEN": "t",
        "MILLRACE_ENV": "local",
        "MILLRACE_SECRET": SECRET,
        **{f"MILLRACE_{name.upper()}": value for name, value in settings.items()},
    }
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(
    ("setting", "value"), [("job_workers", "0"), ("job_workers", "many"), ("secret", "short")]
)
def test_a_process_that_could_not_work_says_why_and_ends(setting: str, value: str) -> None:
    """With status 2 and the name of the setting; it does not idle."""
    ended = started("-m", "functions.worker", **{setting: value})

    assert ended.returncode == 2
    assert f"MILLRACE_{setting.upper()}" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("entry", ["functions.container", "functions.worker"])
def test_a_handler_without_its_decorator_is_named_with_what_to_do(
    entry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line that names the extension, as for any setting that is wrong."""
    (tmp_path / "undecorated.py").write_text(
        "def resize(context, data): ...\ndef extend(millrace): millrace.job(resize)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    ended = started("-m", entry, extensions="undecorated", port="0")

    assert ended.returncode == 2
    [line] = ended.stderr.splitlines()
    assert line.startswith("MILLRACE_EXTENSIONS: undecorated: resize is not a job handler")
    assert "put @job(...) above its definition" in line


@pytest.mark.parametrize("module", ["functions.worker", "functions.container"])
@pytest.mark.parametrize(
    ("setting", "value", "hint"),
    [
        ("extensions", "nosuch", "there is no module nosuch"),
        ("strem_max_s", "100", "MILLRACE_STREAM_MAX_S"),
    ],
)
def test_what_stops_a_start_is_one_line(module: str, setting: str, value: str, hint: str) -> None:
    """It names the setting and says what to do; a traceback would hide both."""
    ended = started("-m", module, **{setting: value})

    assert ended.returncode == 2
    [line] = ended.stderr.splitlines()
    assert line.startswith(f"MILLRACE_{setting.upper()}: ")
    assert hint in line


def test_a_function_without_a_queue_does_not_start() -> None:
    """Its batches come from somewhere, and retries must go there."""
    ended = started("-c", "import functions.worker")

    assert ended.returncode == 1
    assert "MILLRACE_JOBS_QUEUE_URL" in ended.stderr


def test_a_function_starts_without_asking_anybody() -> None:
    """Neither Redis nor SQS is there, and no framework and no SDK of AWS is loaded."""
    code = (
        "import sys, functions.worker; print('litestar' in sys.modules, 'botocore' in sys.modules)"
    )

    ended = started("-c", code, jobs_queue_url="http://127.0.0.1:1/queue")

    assert (ended.returncode, ended.stdout) == (0, "False False\n"), ended.stderr
