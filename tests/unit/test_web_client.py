"""The checks of the browser client: its types, its own tests, its size, and its package."""

from __future__ import annotations

import json
import re
import subprocess
from itertools import pairwise

import pytest

from tests.support.web_client import CLIENT, NEEDS_CLIENT

DECLARED = re.compile(r"export (async |abstract )?(const|function|class|interface|type \w+)")

pytestmark = NEEDS_CLIENT


@pytest.mark.parametrize("script", ["check", "test", "sizes"])
def test_the_client_passes_its_own_checks(script: str) -> None:
    """Strict types; the unit tests; what a page loads is no larger than it may be."""
    ended = subprocess.run(
        ["npm", "run", "--silent", script], cwd=CLIENT, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_its_locks_name_no_addresses() -> None:
    """Each registry serves the same packages, which are told by their hashes."""
    lock = json.loads((CLIENT / "package-lock.json").read_text())

    for name, package in lock["packages"].items():
        assert "resolved" not in package, name


def test_each_export_has_a_word_of_explanation_and_nothing_is_any() -> None:
    """Whoever uses it reads in the editor what each export is, and gets no holes in its types."""
    for file in (CLIENT / "src").glob("*.ts"):
        lines = file.read_text().splitlines()
        for before, line in pairwise(lines):
            assert not re.search(r"[:<(|] ?any\b|\bas any\b|export default", line), line
            if DECLARED.match(line):
                assert before.endswith("*/"), f"{file.name}: {line}"
