"""The pinned requirements fit what pyproject.toml declares, and tell no addresses."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
PIN = re.compile(
    r"^([A-Za-z0-9._-]+)==([^ ;]+).*?\\\n((?:\s+--hash=sha256:[0-9a-f]{64}.*\n)+)", re.MULTILINE
)

DECLARED = {
    "requirements.txt": PROJECT["dependencies"],
    "requirements-container.txt": PROJECT["dependencies"] + EXTRAS["container"],
    "requirements-local.txt": [
        *PROJECT["dependencies"],
        *EXTRAS["container"],
        *EXTRAS["local"],
    ],
    "requirements-dev.txt": [
        *PROJECT["dependencies"],
        *EXTRAS["container"],
        *EXTRAS["aws"],
        *EXTRAS["local"],
        *EXTRAS["dev"],
    ],
}


def pins(name: str) -> dict[str, str]:
    text = (ROOT / name).read_text()
    return {canonicalize_name(found[0]): found[1] for found in PIN.findall(text)}


@pytest.mark.parametrize("name", DECLARED)
def test_every_declared_dependency_is_pinned_within_its_range(name: str) -> None:
    """After a change of pyproject.toml the requirements are compiled again."""
    pinned = pins(name)

    wanted = [Requirement(text) for text in DECLARED[name]]

    for one in wanted:
        version = pinned.get(canonicalize_name(one.name))
        assert version is not None, f"{name} lacks {one}"
        assert version in one.specifier, f"{name} has {version} for {one}"


@pytest.mark.parametrize("name", DECLARED)
def test_every_line_is_a_pin_with_hashes(name: str) -> None:
    """So two installations install the same bytes."""
    names = re.findall(r"^([A-Za-z0-9._-]+)", (ROOT / name).read_text(), re.MULTILINE)

    assert {canonicalize_name(one) for one in names} == set(pins(name))


def test_what_is_tested_is_what_is_deployed() -> None:
    """A larger set holds the smaller one at the same versions."""
    deployed, container, local, tested = (pins(name) for name in DECLARED)

    assert deployed.items() <= container.items() <= local.items() <= tested.items()


def test_no_lock_file_names_a_download_address() -> None:
    """Each installation asks the registry that it was configured with."""
    for name in DECLARED:
        assert "://" not in (ROOT / name).read_text()
    locks = [
        path
        for path in ROOT.rglob("package-lock.json")
        if not {"node_modules", ".venv"} & {*path.parts}
    ]
    assert locks
    for lock in locks:
        packages = json.loads(lock.read_text())["packages"]
        assert not [name for name, package in packages.items() if "resolved" in package]
