"""The pinned requirements install on a day on which everything has a newer release."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.package_index import NEWER, NewerReleases, lock_of_two, serving

ROOT = Path(__file__).parents[2]
INSTALL = ROOT / "infra" / "install.sh"
LOCKS = sorted(path.name for path in ROOT.glob("requirements*.txt"))
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
# Debian 12 brings pip 23.0. It does not run on Python 3.12.
OLD_PIP = "pip==23.0"
PINNED = {
    name
    for lock in LOCKS
    for name in re.findall(r"^([a-z0-9-]+)==", (ROOT / lock).read_text(), re.MULTILINE)
}


@pytest.fixture(scope="module")
def index() -> Iterator[tuple[NewerReleases, str]]:
    releases = NewerReleases(PINNED)
    with serving(releases) as url:
        yield releases, url


def interpreter(version: str) -> str:
    """The path of a Python that runs. Skips the test where there is none."""
    if version == HERE:
        return sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    named = [
        shutil.which(f"python{version}") or "",
        *map(str, pyenv.glob(f"{version}.*/bin/python")),
    ]
    for candidate in filter(None, named):
        if not subprocess.run([candidate, "-c", ""], check=False, capture_output=True).returncode:
            return candidate
    pytest.skip(f"no tool: Python {version} is not installed")


def uv(*words: str | Path) -> None:
    command = [sys.executable, "-m", "uv", "--quiet", *words]
    subprocess.run(command, check=True, capture_output=True, text=True)


def environment(folder: Path, index: str, *, with_uv: bool) -> dict[str, str]:
    """The caller's variables, with the index of newer releases beside the usual one."""
    tools = folder / "tools"
    tools.mkdir()
    if with_uv:
        (tools / "uv").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m uv "$@"\n')
        (tools / "uv").chmod(0o755)
    return os.environ | {
        # No other folder of the caller's, so that no uv of the machine's is found.
        "PATH": f"{tools}:/usr/bin:/bin",
        "PIP_EXTRA_INDEX_URL": index,
        "UV_INDEX": index,
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "PIP_NO_COMPILE": "1",  # compiling takes time and says nothing of a lock
    }


def install(
    folder: Path,
    index: str,
    lock: str | Path,
    *,
    python: str,
    installer: str,
    script: Path = INSTALL,
) -> subprocess.CompletedProcess[str]:
    """Install `lock` into an empty environment in `folder`, by uv or by a pip of this version."""
    place = folder / "venv"
    uv("venv", "--python", interpreter(python), place)
    into = place / "bin" / "python"
    if installer != "uv":
        uv("pip", "install", "--python", into, installer)
    variables = environment(folder, index, with_uv=installer == "uv")
    return subprocess.run(
        [script, into, ROOT / lock],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )


BY_UV = [(lock, version, "uv") for version in ("3.11", "3.12", "3.13") for lock in LOCKS]
# pip takes a minute and more for the largest, which `make` has installed by now. `make soak` tries
# each with each.
SMALL_BY_PIP = {("requirements-container.txt", OLD_PIP), ("requirements.txt", "pip")}
BY_PIP = [
    pytest.param(lock, version, pip, marks=() if (lock, pip) in SMALL_BY_PIP else pytest.mark.soak)
    for version, pip in ((HERE, "pip"), ("3.11", OLD_PIP))
    for lock in LOCKS
]


@pytest.mark.parametrize(("lock", "python", "installer"), [*BY_UV, *BY_PIP])
def test_a_lock_installs_though_everything_has_a_newer_release(
    lock: str, python: str, installer: str, index: tuple[NewerReleases, str], tmp_path: Path
) -> None:
    """A clone of next year installs what was tested."""
    releases, url = index
    releases.asked.clear()

    done = install(tmp_path, url, lock, python=python, installer=installer)

    assert done.returncode == 0, done.stdout + done.stderr
    installed = {path.name for path in (tmp_path / "venv").glob("lib/*/site-packages/*.dist-info")}
    assert releases.asked
    assert len(installed) >= len(releases.asked)
    assert not [name for name in installed if NEWER in name]


@pytest.mark.parametrize("resolves_again", [False, True])
def test_only_a_lock_that_is_resolved_again_is_broken_by_newer_releases(
    index: tuple[NewerReleases, str], tmp_path: Path, *, resolves_again: bool
) -> None:
    """A resolver takes a project with an extra for another one than the pinned project."""
    lock = tmp_path / "requirements.txt"
    lock.write_text(lock_of_two())
    script = tmp_path / "install.sh"
    text = INSTALL.read_text()
    script.write_text(text.replace(" --no-deps", "") if resolves_again else text)
    script.chmod(0o755)

    done = install(tmp_path, index[1], lock, python="3.11", installer=OLD_PIP, script=script)

    assert (done.returncode != 0) == resolves_again, done.stdout + done.stderr
