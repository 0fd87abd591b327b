"""The image without Docker: its files, its requirements, its user, its read-only root."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.instances import SECRET
from tests.support.local_server import ROOT
from tests.support.upstash_server import UpstashServer

DOCKERFILE = ROOT / "infra" / "container" / "Dockerfile"
NOBODY = 65_534
COMMAND = re.compile(r"CMD (\[.*?\])$", re.MULTILINE)


@dataclass(frozen=True)
class Image:
    """A folder with what the image has under /app, and the environment it would have."""

    app: Path
    python: Path
    environment: dict[str, str]
    health: list[str]
    command: list[str]

    def program(self, words: list[str]) -> list[str]:
        """`words` as the image would run them: without any right of root but to read."""
        assert words[0] == "python"
        return [*_without_rights(), str(self.python), *words[1:]]


def _without_rights() -> list[str]:
    if os.geteuid():
        return []
    # The interpreter of the tests may stand in a folder of root's.
    reading = ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]
    user = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs"]
    setpriv = shutil.which("setpriv")
    assert setpriv is not None, "util-linux is missing"
    return [setpriv, *user, *reading, "--bounding-set=-all,+dac_read_search"]


def _stage(name: str) -> str:
    """The lines of the Dockerfile that make the stage `name`."""
    stages = re.split(r"^FROM ", DOCKERFILE.read_text(), flags=re.MULTILINE)
    return next(stage for stage in stages if stage.splitlines()[0].endswith(f" AS {name}"))


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """Built as the Dockerfile says; nobody may write to it."""
    folder = tmp_path_factory.mktemp("image")
    folder.chmod(0o755)
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    step = re.search(r"install\.sh /venv/bin/python (\S+)", _stage("installed"))
    assert step is not None
    # With uv, which is beside the interpreter of the tests: it takes seconds.
    search = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(
        [ROOT / "infra" / "install.sh", python, ROOT / step[1]],
        env=os.environ | {"PATH": search},
        check=True,
        capture_output=True,
    )
    app, stage = folder / "app", _stage("app")
    for source, target in re.findall(r"^COPY (\w\S*) (\S+)$", stage, re.MULTILINE):
        ignored = shutil.ignore_patterns("__pycache__", "node_modules")
        shutil.copytree(ROOT / source, app / target, ignore=ignored)
    set_here = dict(re.findall(r"(?:ENV|^\s+) ?(\w+)=(\S+)", stage, re.MULTILINE))
    health, command = (json.loads(text) for text in COMMAND.findall(stage))
    writable = [path for path in [app, *app.rglob("*")] if not path.is_symlink()]
    for path in writable:
        path.chmod(path.stat().st_mode & ~0o222)
    yield Image(app, python, set_here, health, command)
    for path in writable:
        path.chmod(0o755)


@contextmanager
def running(image: Image, upstash: UpstashServer) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    environment = image.environment | {
        "MILLRACE_HOST": "127.0.0.1",
        "MILLRACE_PORT": "0",
        "MILLRACE_SECRET": SECRET.replace("local", "other"),
        "UPSTASH_REDIS_REST_URL": upstash.url,
        "UPSTASH_REDIS_REST_TOKEN": upstash.token,
    }
    process = subprocess.Popen(
        image.program(image.command),
        cwd=image.app,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise AssertionError(process.communicate(timeout=10)[1])
        yield json.loads(line)["url"], process
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_the_image_serves_from_a_read_only_root_as_a_user_without_rights(
    image: Image, upstash: UpstashServer
) -> None:
    """In production mode, with what its own requirements install and nothing else."""
    with running(image, upstash) as (url, process):
        ready = httpx.get(f"{url}/api/health/ready", timeout=10)
        page = httpx.get(f"{url}/api/openapi.json", timeout=10)
        user = psutil.Process(process.pid).uids().effective

    assert ready.status_code == 200
    assert page.status_code == 200
    assert user == (os.geteuid() or NOBODY)
    assert process.returncode == 0
    assert not list(image.app.rglob("__pycache__"))


def test_its_health_check_tells_a_process_that_answers_from_one_that_does_not(
    image: Image, upstash: UpstashServer
) -> None:
    """An orchestrator restarts on it."""
    check = image.program(image.health)
    with running(image, upstash) as (url, _):
        port = {"MILLRACE_PORT": url.rpartition(":")[2]}
        alive = subprocess.run(check, cwd=image.app, env=image.environment | port, check=False)
    gone = subprocess.run(check, cwd=image.app, env=image.environment | port, check=False)

    assert (alive.returncode, gone.returncode) == (0, 1)


def test_the_image_refuses_to_start_on_weak_settings(image: Image) -> None:
    """A container that starts without its secrets would serve strangers."""
    started = subprocess.run(
        image.program(image.command),
        cwd=image.app,
        env=image.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )

    assert started.returncode == 2
    assert "MILLRACE_SECRET" in started.stderr


def test_it_runs_as_a_user_of_its_own_and_says_how_it_is_watched() -> None:
    """What a reviewer looks for first."""
    stage = _stage("app")

    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", stage, re.MULTILINE)
    assert "HEALTHCHECK" in stage
    assert "infra" not in stage
