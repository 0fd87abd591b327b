"""The command that `make` puts beside Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "api" / "cli" / "millrace.sh"


def test_the_command_works_from_any_folder_without_an_installation(tmp_path: Path) -> None:
    """A clone is not installed, and its path may have spaces."""
    clone = tmp_path / "a clone"
    programs = clone / ".venv" / "bin"
    programs.mkdir(parents=True)
    command = shutil.copy(SCRIPT, programs / "millrace")
    (clone / "api").symlink_to(ROOT / "api")
    python = programs / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)

    link = tmp_path / "on-the-path"
    link.symlink_to(command)

    answer = subprocess.run(
        [link, "--help"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )

    assert answer.returncode == 0, answer.stderr
    assert "millrace" in answer.stdout
