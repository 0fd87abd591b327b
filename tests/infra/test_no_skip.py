"""In CI a test that is skipped for want of a tool fails the run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("pass", 0),
        ("pytest.skip('node is not installed')", 1),
        ("pytest.skip('no account: UPSTASH_REDIS_REST_URL is not set')", 0),
        ("pytest.xfail('known')", 0),
    ],
)
def test_only_what_needs_an_account_may_be_skipped(body: str, status: int, tmp_path: Path) -> None:
    """In a green run nobody looks for skipped tests."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_one.py").write_text(f"import pytest\ndef test_one():\n    {body}\n")
    command = [sys.executable, "-m", "pytest", "-p", "tests.support.no_skip", "-p", "no:asyncio"]

    run = subprocess.run([*command, tmp_path], cwd=ROOT, capture_output=True, check=False)

    assert run.returncode == status, run.stdout
