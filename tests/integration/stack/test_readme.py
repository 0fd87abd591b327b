"""The README can be followed word for word."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from api.settings import Settings
from tests.integration.stack.running import ROOT, RunningStack

README = (ROOT / "README.md").read_text()
POLLING = (ROOT / "docs" / "polling.md").read_text()
NEEDS_CURL = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@NEEDS_CURL
def test_the_first_steps_work_as_written(stack: RunningStack) -> None:
    """The clock, watch, publish, poll: the commands are pasted one after the other."""
    clock, watch, publish, poll = (block for block in blocks("sh") if "curl" in block)
    url = stack.settings()["MILLRACE_URL"]
    watching = f"{clock.replace('-N', '-sN -m 2')}{watch.replace('curl -N', 'curl -sN -m 1')}"
    script = f"{watching}{publish}{poll}"

    shell = subprocess.run(
        ["/bin/sh", "-c", script.replace("http://127.0.0.1:8000", url)],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "event: tick" in shell.stdout
    assert "event: connected" in shell.stdout
    assert re.search(r'^{"id":"\d+-\d+"}', shell.stdout, re.MULTILINE)
    assert '"data":{"order":42}}],"cursor":' in shell.stdout


def test_the_command_works_as_written(stack: RunningStack) -> None:
    """Each line is pasted; the last one shows what comes until it is ended."""
    [block] = (block for block in blocks("sh") if "millrace tail" in block)
    script = block.replace(".venv/bin/millrace", '"$0" -m api.cli')
    shell = subprocess.Popen(
        ["/bin/sh", "-c", script, sys.executable],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env=stack.environment | {"MILLRACE_URL": stack.settings()["MILLRACE_URL"]},
        start_new_session=True,
        text=True,
    )

    with shell:
        assert shell.stdout is not None
        seen: list[str] = []
        for line in shell.stdout:
            seen.append(line)
            if '{"order": 43}' in line:
                break
        os.killpg(shell.pid, signal.SIGKILL)

    assert '"group":"west"' in seen[0]
    assert '{"order": 43}' in seen[-1]


@NEEDS_CURL
def test_a_job_is_polled_to_its_end_as_documented(stack: RunningStack) -> None:
    """With nothing but curl."""
    [script] = re.findall(r"^```sh\n(.*?)^```", POLLING, re.MULTILINE | re.DOTALL)[:1]

    shell = subprocess.run(
        [
            "/bin/sh",
            "-c",
            script.replace("http://127.0.0.1:8000", stack.settings()["MILLRACE_URL"]),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert '"status":"succeeded"' in shell.stdout


def test_the_module_of_the_example_validates_and_grants(
    start: Callable[..., RunningStack], tmp_path: Path
) -> None:
    """What a team copies first must do what the text says."""
    [module] = blocks("python")
    (tmp_path / "shop.py").write_text(module)
    running = start(MILLRACE_EXTENSIONS="shop", PYTHONPATH=str(tmp_path)).ready()
    with httpx.Client(base_url=running.settings()["MILLRACE_URL"]) as api:
        session = api.post("/api/dev/session", json={"user": "bob", "roles": ["buyer"]}).json()
        api.cookies.clear()
        api.headers["Authorization"] = f"Bearer {session['token']}"

        def publish(topic: str, order: object) -> httpx.Response:
            body = {"type": "order.shipped", "data": {"order": order}}
            return api.post(f"/api/events/{topic}", json=body)

        good, bad, elsewhere = publish("shop:7", 1), publish("shop:7", "?"), publish("public:a", 1)

    assert good.status_code == httpx.codes.CREATED
    assert bad.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert [error["field"] for error in bad.json()["errors"]] == ["data.order"]
    assert elsewhere.status_code == httpx.codes.FORBIDDEN


def test_links_point_at_files_that_exist() -> None:
    """A reader who follows one must arrive."""
    links = re.findall(r"\]\(([^):]+)\)", README)

    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_settings_named_exist_with_these_defaults() -> None:
    """Tables drift; the settings themselves are the truth."""
    rows = re.findall(r"^\| (`MILLRACE_.*?`) \| (\S+) \|", README, re.MULTILINE)
    shown = {name: default for names, default in rows for name in re.findall(r"E_(\w+)", names)}

    assert shown
    for name, default in shown.items():
        actual = Settings.model_fields[name.lower()].default
        assert default == ("none" if actual in ((), None) else str(actual).lower()), name
